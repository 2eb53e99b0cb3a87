//! Files and directories that are this user's alone and survive a crash.

pub mod batch;
pub mod durable;
pub mod lock;
pub mod path_text;
pub mod place;
pub mod private_dir;
pub mod private_file;
pub mod replace;
