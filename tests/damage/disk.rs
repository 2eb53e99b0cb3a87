//! A full disk, and one that cannot be written to: a small file system in memory, which is mounted where only the
//! processes of this test see it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use serde_json::{Value, json};

use super::{FETCH, claims_in, eob, snapshot};
use crate::support::{Setting, Stage, assert_code, needs::system_to, slim::Slim, text};

/// A shell with private mounts, which disappear when it ends.
struct Room {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    mounted: PathBuf,
}

impl Room {
    /// Mounts a file system of this size at `name` in the stage's home. `None` if the system does not let this user
    /// mount.
    fn with(stage: &Stage, name: &str, size: &str) -> Option<Self> {
        let mounted = stage.home.path().join(name);
        fs::create_dir(&mounted).unwrap();
        for own_users in [&[][..], &["--user", "--map-root-user"]] {
            let shell = Command::new("unshare")
                .args(own_users)
                .args(["--mount", "sh"])
                .current_dir(stage.home.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut child) = shell else { continue };
            let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
            let mut room = Self { child, stdin, stdout, mounted: mounted.clone() };
            let shown = mounted.display();
            // Some systems let an ordinary user mount, but not change what is mounted.
            let commands = [
                format!("mount -t tmpfs -o mode=700,size={size} none '{shown}'"),
                format!("mount -o remount,size={size} '{shown}'"),
            ];
            if commands.iter().all(|command| room.does(command) == Some(0)) {
                return Some(room);
            }
        }
        // Containers often forbid it.
        system_to("mount a file system");
        None
    }

    /// Runs this in the shell. Returns its exit code, or `None` if there is no shell.
    fn does(&mut self, command: &str) -> Option<i32> {
        writeln!(self.stdin, "( {command} ) </dev/null >said 2>&1; echo $?").ok()?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).ok()?;
        line.trim().parse().ok()
    }

    fn must(&mut self, command: &str) {
        assert_eq!(self.does(command), Some(0), "{command}");
    }

    fn remount(&mut self, options: &str) {
        let command = format!("mount -o remount,{options} '{}'", self.mounted.display());
        self.must(&command);
    }

    /// Leaves this many kilobytes free. A file takes up the rest.
    fn leave(&mut self, kilobytes: u64) {
        let command = format!(
            "cd '{}' && rm -f filler && free=$(df -k --output=avail . | tail -n 1) && \
             head -c $(((free - {kilobytes}) * 1024)) /dev/zero >filler",
            self.mounted.display()
        );
        self.must(&command);
    }

    fn empty_filler(&mut self) {
        let command = format!("rm '{}/filler'", self.mounted.display());
        self.must(&command);
    }

    fn run(&mut self, command: &Command) -> Output {
        let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
        let mut line = format!("cd {} && exec env -i", quoted(command.get_current_dir().unwrap().as_os_str()));
        for (key, value) in command.get_envs() {
            line += &format!(" {}={}", key.to_str().unwrap(), quoted(value.unwrap_or_default()));
        }
        for word in std::iter::once(command.get_program()).chain(command.get_args()) {
            line += &format!(" {}", quoted(word));
        }
        line += " >out 2>err";
        let code = self.does(&line).unwrap();
        let read = |name: &str| fs::read(command.get_current_dir().unwrap().join(name)).unwrap();
        Output {
            status: std::os::unix::process::ExitStatusExt::from_raw(code << 8),
            stdout: read("out"),
            stderr: read("err"),
        }
    }

    fn expect(&mut self, stage: &Stage, code: i32, arguments: &[&str]) -> (Value, String) {
        let output = self.run(&stage.bbdl(arguments));
        assert_code(&output, code, arguments);
        (serde_json::from_slice(&output.stdout).unwrap(), text(&output.stderr))
    }

    /// The archive as seen inside the mount.
    fn seen(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(self.mounted.strip_prefix("/").unwrap())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = writeln!(self.stdin, "exit");
        let _ = self.child.wait();
    }
}

const GOING_ON: &str = "continuing where an earlier run stopped";

#[test]
fn a_first_pull_that_filled_the_disk_continues_when_there_is_room() {
    let stage = Stage::logged_in(Setting { records: Some(Slim::of(1500)), ..Setting::default() });
    let Some(mut room) = Room::with(&stage, "claims", "1m") else { return };
    let (result, _) = room.expect(&stage, 74, &FETCH);
    assert_eq!((&result["error"]["kind"], &result["error"]["exit_code"]), (&json!("disk"), &json!(74)), "{result}");
    assert!(!room.seen().join("manifest.json").exists());
    room.remount("size=8m");
    let (result, said) = room.expect(&stage, 0, &FETCH);
    assert_eq!(eob(&result)["count"], 1500);
    assert!(said.contains(GOING_ON), "{said}");
    assert!(eob(&result)["requests"].as_u64().unwrap() < 29, "{result}");
    room.expect(&stage, 0, &["verify", "claims", "--json"]);
    let inside = claims_in(&room.seen());
    stage.expect(0, &["fetch", "eob", "--out", "elsewhere"]);
    assert!(inside == claims_in(&stage.home.path().join("elsewhere")));
}

#[test]
fn a_disk_that_is_full_leaves_the_archive_as_it_was() {
    let stage = Stage::logged_in(Setting { records: Some(Slim::of(600)), ..Setting::default() });
    let Some(mut room) = Room::with(&stage, "claims", "8m") else { return };
    room.expect(&stage, 0, &FETCH);
    let mut added = 0;
    // Room for the pages but not for the merged file, then for some of the pages, then for nothing.
    for kilobytes in [400, 100, 0] {
        stage.control("POST", "claims", r#"{"add": 200, "update": 50}"#);
        added += 200;
        room.leave(kilobytes);
        let before = snapshot(&room.seen());
        for arguments in [&FETCH[..], &["fetch", "eob", "--out", "claims", "--json", "--full"]] {
            let (result, _) = room.expect(&stage, 74, arguments);
            assert_eq!(result["error"]["kind"], "disk", "{kilobytes}: {result}");
            assert!(snapshot(&room.seen()) == before, "{kilobytes}: {arguments:?}");
            let (report, _) = room.expect(&stage, 0, &["verify", "claims", "--json"]);
            assert_eq!(report["ok"], true);
        }
        room.empty_filler();
        let (result, _) = room.expect(&stage, 0, &FETCH);
        assert_eq!((&eob(&result)["added"], &eob(&result)["updated"]), (&json!(200), &json!(50)), "{kilobytes}");
        assert_eq!(eob(&result)["count"], 600 + added);
    }
    let (report, _) = room.expect(&stage, 0, &["verify", "claims", "--json"]);
    assert_eq!(report["resources"]["ExplanationOfBenefit"]["count"], 1200);
    stage.expect(0, &["fetch", "eob", "--out", "elsewhere"]);
    assert!(claims_in(&room.seen()) == claims_in(&stage.home.path().join("elsewhere")));
}

#[test]
fn a_read_only_directory_is_reported_and_left_untouched() {
    let stage = Stage::logged_in(Setting { records: Some(Slim::of(120)), ..Setting::default() });
    let Some(mut room) = Room::with(&stage, "claims", "4m") else { return };
    let (result, _) = {
        room.remount("ro");
        room.expect(&stage, 74, &FETCH)
    };
    assert_eq!(result["error"]["kind"], "disk", "{result}");
    room.remount("rw");
    room.expect(&stage, 0, &FETCH);
    stage.control("POST", "claims", r#"{"add": 20}"#);
    room.remount("ro");
    let before = snapshot(&room.seen());
    let (result, _) = room.expect(&stage, 74, &FETCH);
    assert_eq!(result["error"]["kind"], "disk", "{result}");
    assert!(snapshot(&room.seen()) == before);
    // Reading does not need to write.
    let (report, _) = room.expect(&stage, 0, &["verify", "claims", "--json"]);
    assert_eq!(report["ok"], true);
    room.remount("rw");
    let (result, _) = room.expect(&stage, 0, &FETCH);
    assert_eq!(eob(&result)["added"], 20);
}

/// New tokens that could not be stored would be lost, so they are not requested.
#[test]
fn a_full_disk_under_the_tokens_spends_no_refresh_token() {
    let stage = Stage::logged_in(Setting { records: Some(Slim::of(20)), ..Setting::default() });
    let Some(mut room) = Room::with(&stage, "own", "1m") else { return };
    room.must("cp -a tokens profiles own/");
    room.leave(0);
    stage.control("POST", "clock", r#"{"advance_seconds": 4000}"#);
    stage.asked();
    let mut command = stage.bbdl(&FETCH);
    command.env("BBDL_HOME", room.mounted.clone());
    let output = room.run(&command);
    assert_code(&output, 74, &FETCH);
    assert!(!stage.asked().iter().any(|row| row.contains("/o/token/")));
    room.empty_filler();
    assert_code(&room.run(&command), 0, &FETCH);
}

/// The row is written before the note that the enrollee was pulled. So a row that cannot be written is not lost for
/// good.
#[test]
fn an_enrollee_without_a_row_in_the_results_is_pulled_again() {
    let stage = Stage::logged_in(Setting { records: Some(Slim::of(20)), ..Setting::default() });
    let Some(mut room) = Room::with(&stage, "small", "64k") else { return };
    let night =
        ["fetch", "eob", "--all-profiles", "--out", "study", "--stale-after", "1h", "--results", "small/results"];
    let night = [&night[..], &["--json"]].concat();
    let results = room.seen().join("results");
    // The file exists, but nothing more fits into it.
    room.must(&format!(
        "umask 077; head -c 4095 /dev/zero | tr '\\0' ' ' >'{0}'; echo >>'{0}'",
        room.mounted.join("results").display()
    ));
    room.leave(0);
    let (told, _) = room.expect(&stage, 74, &night);
    assert_eq!((&told["run"]["due"], &told["run"]["fresh"]), (&json!(1), &json!(0)), "{told}");
    assert!(stage.home.path().join("study/default/manifest.json").exists());
    room.empty_filler();
    let (told, _) = room.expect(&stage, 0, &night);
    assert_eq!(told["run"]["succeeded"], 1, "{told}");
    let rows = fs::read_to_string(&results).unwrap();
    assert_eq!(rows.lines().filter(|line| line.contains("\"profile\":\"default\"")).count(), 1, "{rows}");
    let (told, _) = room.expect(&stage, 0, &night);
    assert_eq!(told["run"]["fresh"], 1, "{told}");
}
