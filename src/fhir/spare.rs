//! Room for the texts of pages, used again. A page takes a megabyte or more, and pages come by the thousand: given
//! back to the allocator each time, they leave holes between what stays, so that memory grows with their number.

use std::sync::{Mutex, PoisonError};

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// No more than are under way at once.
const MOST: usize = 8;
/// What is larger is rare, and goes back to the system.
const LARGEST: usize = 8 << 20;

/// An empty buffer, one that was used before if there is any.
#[must_use]
pub fn take() -> Vec<u8> {
    SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
}

/// Takes back the buffer of a text that is not needed any more.
pub(super) fn give(text: String) {
    let mut buffer = text.into_bytes();
    buffer.clear();
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < MOST && (1..=LARGEST).contains(&buffer.capacity()) {
        spare.push(buffer);
    }
}
