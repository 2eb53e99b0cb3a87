//! Protects this process before it holds any secret.

/// Keeps secrets out of core files and away from other programs of the same user. Also turns the signal for a file
/// that grows too large into an error that can be reported. If the system does not support one of these, bbdl runs
/// without it.
pub(super) fn harden() {
    #[cfg(unix)]
    {
        use std::sync::{Arc, atomic::AtomicBool};

        use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

        let cores = getrlimit(Resource::Core);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: cores.maximum });
        // No debugger in another process can read the memory, nor can /proc/PID/mem (prctl(2)).
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        // Above `ulimit -f`, the kernel sends this signal, which ends the process without a message. With a handler,
        // the write fails instead (EFBIG). Unlike an ignored signal, a handler is not inherited by the programs that
        // we start.
        let _ = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::new(AtomicBool::new(false)));
    }
}
