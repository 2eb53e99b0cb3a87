//! The journal of an interrupted pull: it counts only as far as the file of lines agrees with it, and reading it
//! changes nothing.

#![no_main]

use std::{cell::OnceCell, fs, path::PathBuf};

use bbdl::{api_version::ApiVersion, archive::{Archive, Pull, dedup::Expected, journal::SearchKey, manifest::Source}, paging::checkpoint::Checkpoint};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

const KIND: &str = "ExplanationOfBenefit";
const LINES: &str = "{\"resourceType\":\"ExplanationOfBenefit\",\"id\":\"-1\"}\n\
                     {\"resourceType\":\"ExplanationOfBenefit\",\"id\":\"-2\"}\n";

struct Room {
    _dir: tempfile::TempDir,
    partial: PathBuf,
    pull: Pull,
    key: SearchKey,
}

impl Room {
    fn new() -> Self {
        // In memory, if the system has such a directory.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
        let server = "https://sandbox.bluebutton.cms.gov".parse().expect("an origin");
        let source = Source { server, api: ApiVersion::V2, patient: None };
        let archive = Archive::open(&dir.path().join("claims")).expect("a new archive");
        let partial = archive.dir().join(".bbdl/partial");
        fs::create_dir_all(&partial).expect("a directory");
        let key =
            SearchKey { source: source.clone(), query: Vec::new(), since: None, page_size: 50, pages_kept: false };
        Self { _dir: dir, partial, pull: Pull::begin(archive, source, false, Timestamp::now()), key }
    }
}

thread_local! {
    static ROOM: OnceCell<Room> = const { OnceCell::new() };
}

fuzz_target!(|entries: &[u8]| {
    ROOM.with(|room| {
        let Room { partial, pull, key, .. } = room.get_or_init(Room::new);
        let head = serde_json::json!({"question": key, "started": Timestamp::now()});
        let journal = [format!("{head}\n").as_bytes(), entries].concat();
        let (lines, path) = (partial.join(format!("{KIND}.ndjson")), partial.join(format!("{KIND}.journal")));
        fs::write(&lines, LINES).expect("lines");
        fs::write(&path, &journal).expect("a journal");
        let expected = Expected { kind: KIND, patient: None };
        if let Ok(Some(resumed)) = pull.resume::<Checkpoint>(expected, key) {
            assert!(resumed.checkpoint.next.is_some(), "a search that has ended does not go on");
        }
        assert_eq!(fs::read(&lines).expect("lines"), LINES.as_bytes());
        assert_eq!(fs::read(&path).expect("a journal"), journal);
    });
});
