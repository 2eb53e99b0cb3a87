//! Files that are private and survive a crash; locks; paths as text.

pub(crate) mod batch;
pub(crate) mod durable;
pub(crate) mod listing;
pub mod lock;
pub(crate) mod open_files;
pub(crate) mod path_text;
pub(crate) mod place;
pub(crate) mod private_dir;
pub(crate) mod private_file;
pub(crate) mod replace;
