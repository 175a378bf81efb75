//! The program on a terminal of its own, with somebody who answers its question.

use std::time::Duration;

use crate::world::{PROGRAM, Ran, World, installed};

/// Runs a program on a pseudo-terminal of 80 columns, types `answer` when it asks, and ends with its exit code.
const PLAY: &str = r"
import fcntl, os, pty, struct, sys, termios
answer, arguments = bytes.fromhex(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
    os.execv(arguments[0], arguments)
shown, answered = b'', False
while True:
    try:
        more = os.read(terminal, 65536)
    except OSError:
        more = b''
    if not more:
        break
    shown += more
    if b'[y/N]' in shown and not answered:
        answered = True
        os.write(terminal, answer)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) if answered else 99)
";

/// What a terminal sends for Ctrl-C and Ctrl-D.
pub(crate) const CTRL_C: &str = "\u{3}";
pub(crate) const CTRL_D: &str = "\u{4}";

/// The program with these arguments; what it shows is in `stdout`. `None`: there is no Python to play with it.
pub(crate) async fn answered(world: &World, arguments: &[&str], answer: &str) -> Option<Ran> {
    if !installed("python3") {
        return None;
    }
    let answer: String = answer.bytes().map(|byte| format!("{byte:02x}")).collect();
    let command = world.command(&[]);
    let environment: Vec<_> =
        command.as_std().get_envs().map(|(key, value)| (key.to_owned(), value.map(ToOwned::to_owned))).collect();
    let mut play = tokio::process::Command::new("python3");
    play.args(["-c", PLAY, &answer, PROGRAM]).args(arguments).current_dir(world.project.path()).env_clear();
    play.envs(environment.into_iter().filter_map(|(key, value)| Some((key, value?)))).env("TERM", "xterm");
    play.kill_on_drop(true);
    let played = tokio::time::timeout(Duration::from_secs(60), play.output()).await;
    Some(Ran::of(&played.expect("the question never came, or the answer was not heard").unwrap()))
}
