//! The system calls that neither std nor rustix wraps: looking at an ended child without reaping
//! it, and reaping it with what it used. The only file of the driver with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Pid;

/// An ended child, as the kernel tells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reaped {
    /// Exit code or signal.
    pub(super) status: ExitStatus,
    /// Processor time of it and of the children it waited for, user and system.
    pub(super) cpu_us: u64,
    /// Peak resident memory of the largest of them. Never less than what the supervisor itself had
    /// when it started the child, since the kernel counts from before `exec`.
    pub(super) mem_kib: u64,
}

/// A child that has ended and is not reaped yet; it stays so, which keeps its id from being used
/// again. Waits for one, or answers at once with `None`.
///
/// # Errors
/// `ECHILD` when there are no children.
pub(super) fn peek_ended(wait: bool) -> io::Result<Option<Pid>> {
    let options = libc::WEXITED | libc::WNOWAIT | if wait { 0 } else { libc::WNOHANG };
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    loop {
        // SAFETY: `info` is writable memory for one `siginfo_t`, and P_ALL ignores the id.
        let rc = unsafe { libc::waitid(libc::P_ALL, 0, info.as_mut_ptr(), options) };
        if rc == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: all zeroes is a valid `siginfo_t`, and a successful `waitid` either leaves it so or
    // fills the fields of a SIGCHLD, of which `si_pid` is one.
    let pid = unsafe { info.assume_init().si_pid() };
    Ok(Pid::from_raw(pid))
}

/// Reaps `pid`, which has ended.
///
/// # Errors
/// `ECHILD` when somebody else reaped it, `WouldBlock` when it still runs.
pub(super) fn reap(pid: Pid) -> io::Result<Reaped> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to writable memory of their types, which outlives the call.
    let rc = unsafe {
        libc::wait4(pid.as_raw_nonzero().get(), &raw mut status, libc::WNOHANG, usage.as_mut_ptr())
    };
    match rc {
        -1 => return Err(io::Error::last_os_error()),
        0 => return Err(io::ErrorKind::WouldBlock.into()),
        _ => {}
    }
    // SAFETY: all zeroes is a valid `rusage`, and `wait4` filled it.
    let usage = unsafe { usage.assume_init() };
    Ok(Reaped {
        status: ExitStatus::from_raw(status),
        cpu_us: micros(usage.ru_utime) + micros(usage.ru_stime),
        mem_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    })
}

/// Makes ended children wait to be reaped, whatever was inherited: with SIGCHLD ignored the kernel
/// would reap them itself and their results were lost.
pub(super) fn keep_ended_children() {
    // SAFETY: SIG_DFL installs no handler, so nothing runs in signal context.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

fn micros(time: libc::timeval) -> u64 {
    u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or(0)
}
