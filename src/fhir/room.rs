//! Room for the texts of pages. A page takes a megabyte or more, and pages come by the thousand, read in several
//! threads and given back in another.

use std::sync::{Mutex, PoisonError};

/// How much room a page has, of which only what is used becomes memory. Allocators give what is larger than
/// 32 MiB (glibc's largest `M_MMAP_THRESHOLD`) to nobody else and give it back whole; on the heap, small things
/// that stay would keep the room of pages from being given back: that was more than all the rest of a long pull.
pub const ROOM: usize = 33 << 20;
/// Seldom are more of them idle at once.
const MOST: usize = 2;
/// What a page of more bytes than this has used goes back to the system: what is kept stays as large as its largest page.
const LARGEST: usize = 1_500_000;

/// Memory that is used again does not have to be emptied by the system each time: a fifth of a pull's CPU time.
static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Empty room for a page, used before if there is any.
#[must_use]
pub fn take() -> Vec<u8> {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    spare.unwrap_or_else(|| Vec::with_capacity(ROOM))
}

/// Takes back the room of a page that is not needed any more.
pub(super) fn give(text: String) {
    if text.capacity() < ROOM || text.len() > LARGEST {
        return;
    }
    let mut room = text.into_bytes();
    room.clear();
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < MOST {
        spare.push(room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_and_only_room_that_is_worth_it() {
        let mut room = take();
        room.extend_from_slice(b"claims");
        give(String::from_utf8(room).unwrap());
        give("no room of a page".to_owned());
        let mut used = take();
        used.resize(LARGEST + 1, b' ');
        give(String::from_utf8(used).unwrap());
        for _ in 0..3 * MOST {
            give(String::from_utf8(Vec::with_capacity(ROOM)).unwrap());
        }
        let spare = SPARE.lock().unwrap();
        assert!((1..=MOST).contains(&spare.len()));
        assert!(spare.iter().all(|room| room.is_empty() && room.capacity() >= ROOM));
    }
}
