//! What a process that holds secrets does about itself before it has any.

/// Keeps secrets out of core files and away from other programs of the same user, and makes a file that grows too
/// large an error that can be told. What cannot be had on this system is left as it is: none of it is worth failing for.
pub(super) fn harden() {
    #[cfg(unix)]
    {
        use std::sync::{Arc, atomic::AtomicBool};

        use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

        let cores = getrlimit(Resource::Core);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: cores.maximum });
        // Neither a debugger of another process nor /proc/PID/mem reads what is in memory (prctl(2)).
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        // Beyond `ulimit -f` the kernel sends this signal, which ends the process without a word. With a handler the
        // write fails (EFBIG). Unlike a signal that is ignored, a handler is not inherited by the programs we start.
        let _ = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)));
    }
}
