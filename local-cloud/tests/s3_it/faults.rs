//! Faults do what they say, to the calls they are meant for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use local_cloud::{Action, Fault, Link};

use crate::{BUCKET, MIB, bytes, cloud, refused};

#[tokio::test]
async fn the_second_call_is_throttled_and_does_nothing() {
    let cloud = cloud().await;
    cloud.cloud.faults().inject(Fault::on("PutObject").nth(2).then(Action::Respond { status: 503, code: "SlowDown" }));
    cloud.put("a", b"1").await;
    let second = cloud.s3.put_object().bucket(BUCKET).key("b").body(ByteStream::from(bytes(MIB))).send().await;
    assert_eq!(refused(second), (503, "SlowDown".to_owned()));
    assert_eq!(refused(cloud.s3.head_object().bucket(BUCKET).key("b").send().await).0, 404);
    cloud.put("b", b"2").await;
}

#[tokio::test]
async fn a_reset_before_acting_changes_nothing_and_one_after_does() {
    let cloud = cloud().await;
    cloud.cloud.faults().inject(Fault::on("PutObject").then(Action::ResetBefore));
    assert!(cloud.s3.put_object().bucket(BUCKET).key("k").send().await.is_err());
    assert_eq!(refused(cloud.s3.head_object().bucket(BUCKET).key("k").send().await).0, 404);
    cloud.cloud.faults().inject(Fault::on("PutObject").then(Action::ResetAfter));
    assert!(cloud.s3.put_object().bucket(BUCKET).key("k").send().await.is_err());
    cloud.s3.head_object().bucket(BUCKET).key("k").send().await.unwrap();
}

#[tokio::test]
async fn a_cut_body_ends_early_and_is_counted_as_far_as_it_got() {
    let cloud = cloud().await;
    cloud.put("k", bytes(MIB)).await;
    cloud.cloud.faults().inject(Fault::on("GetObject").then(Action::CutBody { after: 1000 }));
    let got = cloud.s3.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert!(got.body.collect().await.is_err());
    let record = cloud.cloud.requests().pop().unwrap();
    assert_eq!((record.status, record.bytes_out), (200, 1000));
    assert_eq!(record.fault.as_deref(), Some("body cut after 1000 bytes"));
}

#[tokio::test]
async fn an_error_inside_a_200_is_an_error_to_the_client() {
    let cloud = cloud().await;
    cloud.put("k", b"x").await;
    cloud.cloud.faults().inject(Fault::on("CopyObject").then(Action::ErrorInside200 { code: "InternalError" }));
    let copy = cloud.s3.copy_object().bucket(BUCKET).key("copy").copy_source("bucket/k").send().await;
    assert_eq!(refused(copy).1, "InternalError");
}

#[tokio::test]
async fn a_short_body_has_a_length_that_agrees_with_it() {
    let cloud = cloud().await;
    cloud.put("k", bytes(MIB)).await;
    cloud.cloud.faults().inject(Fault::on("GetObject").then(Action::ShortBody { missing: 1 }));
    let got = cloud.s3.get_object().bucket(BUCKET).key("k").range("bytes=0-99").send().await.unwrap();
    assert_eq!(got.content_length(), Some(99));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes(MIB)[..99]);
}

#[tokio::test]
async fn a_cloud_that_is_away_refuses_connections_until_it_is_back_with_all_it_had() {
    let cloud = cloud().await;
    cloud.put("k", b"x").await;
    cloud.cloud.faults().inject(Fault::on("GetObject").then(Action::GoAway(Duration::from_secs(60))));
    assert!(cloud.s3.get_object().bucket(BUCKET).key("k").send().await.is_err());
    let address = cloud.cloud.endpoint().trim_start_matches("http://").to_owned();
    let refused = tokio::net::TcpStream::connect(&address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    cloud.cloud.faults().come_back();
    while tokio::net::TcpStream::connect(&address).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cloud.get("k").await, b"x");
    // And by itself, when its time is over.
    cloud.cloud.faults().go_away(Duration::from_millis(300));
    let begun = Instant::now();
    while cloud.s3.get_object().bucket(BUCKET).key("k").send().await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_comes_back_although_processes_are_being_started() {
    let cloud = cloud().await;
    let address = cloud.cloud.endpoint().trim_start_matches("http://").to_owned();
    let enough = Arc::new(AtomicBool::new(false));
    let starting = [(); 2].map(|()| {
        let enough = Arc::clone(&enough);
        std::thread::spawn(move || {
            while !enough.load(Ordering::Relaxed) {
                std::process::Command::new("true").status().unwrap();
            }
        })
    });
    for _ in 0..300 {
        cloud.cloud.faults().go_away(Duration::from_secs(60));
        tokio::task::yield_now().await;
        cloud.cloud.faults().come_back();
    }
    let back = async {
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), back).await.expect("it is back");
    enough.store(true, Ordering::Relaxed);
    starting.into_iter().for_each(|starting| starting.join().unwrap());
}

#[tokio::test]
async fn a_stalled_request_is_given_up_when_its_client_goes_even_in_the_middle_of_its_body() {
    use tokio::io::AsyncWriteExt as _;
    let cloud = cloud().await;
    let address = cloud.cloud.endpoint().trim_start_matches("http://").to_owned();
    for action in [Action::Stall, Action::StallAfter] {
        for sent in [0, 500, 1000] {
            cloud.cloud.clear_requests();
            cloud.cloud.faults().inject(Fault::on("PutObject").then(action));
            let mut client = tokio::net::TcpStream::connect(&address).await.unwrap();
            let head = format!("PUT /{BUCKET}/k HTTP/1.1\r\nHost: {address}\r\nContent-Length: 1000\r\n\r\n");
            client.write_all(&[head.as_bytes(), &vec![0; sent]].concat()).await.unwrap();
            while cloud.cloud.requests_under_way() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            drop(client);
            let given_up = async {
                while cloud.cloud.requests_under_way() > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(60), given_up).await;
            assert!(waited.is_ok(), "{action}, {sent} bytes sent: {:#?}", cloud.cloud.requests());
            cloud.cloud.faults().clear();
        }
    }
}

#[tokio::test]
async fn the_link_slows_a_body_down_to_its_rate() {
    let cloud = cloud().await;
    cloud.put("k", bytes(MIB)).await;
    cloud.cloud.faults().set_link(Link { down: Some(4 * MIB as u64), ..Link::default() });
    let started = Instant::now();
    assert_eq!(cloud.get("k").await.len(), MIB);
    assert!(started.elapsed() >= Duration::from_millis(240), "{:?}", started.elapsed());
}
