//! Requests to [`Lambda::handle`](super::Lambda::handle) over a few objects in memory: what needs no real client.

mod control_plane;
mod persistence;
mod processes;
mod support;
