//! Files that file systems, desktops and programs that copy files leave behind do not make a directory foreign.

use std::fs;

use super::FETCH;
use crate::support::{Setting, Stage};

const FILES: [&str; 18] = [
    ".DS_Store",
    "desktop.ini",
    "Desktop.ini",
    "Thumbs.db",
    "ehthumbs.db",
    ".directory",
    "Icon\r",
    "._claims",
    ".localized",
    ".nomedia",
    ".nfs000000000123",
    ".stignore",
    ".dropbox",
    ".dropbox.attr",
    ".apdisk",
    ".VolumeIcon.icns",
    "THUMBS.DB",
    ".849C9593-D756-4E56-8D6E-42412F2A707B",
];
const DIRECTORIES: [&str; 14] = [
    "lost+found",
    ".stfolder",
    ".stversions",
    ".Trash",
    ".Trash-1000",
    "System Volume Information",
    "$RECYCLE.BIN",
    "$Recycle.Bin",
    ".Spotlight-V100",
    ".fseventsd",
    ".Trashes",
    ".TemporaryItems",
    "@eaDir",
    "#recycle",
];

#[test]
fn leftovers_do_not_make_a_directory_foreign() {
    let stage = Stage::logged_in(Setting { claims: 1, ..Setting::default() });
    let out = stage.out();
    for name in FILES.iter().chain(&DIRECTORIES) {
        fs::create_dir(&out).unwrap();
        let path = out.join(name);
        if DIRECTORIES.contains(name) {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "x").unwrap();
        }
        stage.expect(0, &FETCH);
        assert!(path.exists(), "{name:?}");
        fs::remove_dir_all(&out).unwrap();
    }
    for foreign in ["letter.txt", ".Trashy", "DS_Store", "thumbs.db.txt", ".profile"] {
        fs::create_dir(&out).unwrap();
        fs::write(out.join(".DS_Store"), "x").unwrap();
        fs::write(out.join(foreign), "x").unwrap();
        assert_eq!(stage.expect_json(65, &FETCH)["error"]["kind"], "not_an_archive", "{foreign}");
        fs::remove_dir_all(&out).unwrap();
    }
}
