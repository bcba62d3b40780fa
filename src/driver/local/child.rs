//! Starts the process of one launch: in its sandbox, in a process group of its own, with what it
//! should know in its environment.
//!
//! Nothing here may need code between fork and exec: without such code std uses `posix_spawn`,
//! which does not copy the supervisor.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::launch::Launch;

use super::protocol::short_reason;
use super::sandbox::Sandbox;

/// The store's directory, without symbolic links.
pub(super) const STORE_VAR: &str = "WEIGHBRIDGE_STORE";

/// `EXECUTION.NUMBER`: which launch this is.
pub(super) const LAUNCH_VAR: &str = "WEIGHBRIDGE_LAUNCH";

/// Why no process runs for a launch.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StartError {
    /// Its sandbox is there: a supervisor before this one started it.
    #[error("it was started before")]
    StartedBefore,
    /// The command is at fault.
    #[error("{reason}")]
    Command { reason: String },
    /// The machine is at fault: no space, no more processes. It left no trace.
    #[error("{reason}")]
    System { reason: String },
}

/// Starts `launch`; whoever reaps the process gets its result.
pub(super) fn start(launch: &Launch, sandbox: &Sandbox, store: &Path) -> Result<Pid, StartError> {
    sandbox.create().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => StartError::StartedBefore,
        _ => system(&format!("could not make {}", sandbox.dir().display()), &error),
    })?;
    spawn(launch, sandbox, store).inspect_err(|error| {
        if matches!(error, StartError::System { .. }) {
            // A sandbox that stays makes the launch count as lost, which is right as well.
            let _ = sandbox.remove();
        }
    })
}

fn spawn(launch: &Launch, sandbox: &Sandbox, store: &Path) -> Result<Pid, StartError> {
    let (program, args) = launch
        .command
        .split_first()
        .ok_or_else(|| StartError::Command { reason: "the command is empty".into() })?;
    let output = |name: &str| {
        let file = sandbox.create_file(name);
        file.map_err(|error| system(&format!("could not make {}/{name}", sandbox.dir().display()), &error))
    };
    let child = Command::new(program)
        .args(args)
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .env("WEIGHBRIDGE_JOB_ID", launch.job.to_string())
        .env("WEIGHBRIDGE_EXE_NUM", launch.exe_num.to_string())
        .env("WEIGHBRIDGE_EXE_ID", launch.name.exe.to_string())
        .env(LAUNCH_VAR, launch.name.to_string())
        .env("WEIGHBRIDGE_JOB_TYPE", &launch.job_type)
        .env("WEIGHBRIDGE_CLUSTER_ID", &launch.cluster_id)
        .env("WEIGHBRIDGE_SANDBOX", sandbox.dir())
        .env(STORE_VAR, store)
        .current_dir(sandbox.dir())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output("stdout")?)
        .stderr(output("stderr")?)
        .spawn()
        .map_err(|error| classify(program, &error))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(pid.expect("the system's process ids are positive and fit"))
}

fn classify(program: &str, error: &io::Error) -> StartError {
    let is_system = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    if is_system {
        return system(&format!("could not start {program:?}"), error);
    }
    let reason = match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            format!("{program:?}: no such program, or no interpreter for it")
        }
        io::ErrorKind::NotFound => format!("{program:?}: no such program in PATH"),
        io::ErrorKind::PermissionDenied => format!("{program:?}: not executable ({error})"),
        _ => format!("{program:?}: {error}"),
    };
    StartError::Command { reason: short_reason(reason) }
}

fn system(action: &str, error: &io::Error) -> StartError {
    StartError::System { reason: short_reason(format!("{action}: {error}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_the_command_and_of_the_machine_are_told_apart() {
        let check = |errno: Errno, is_system: bool, part: &str| {
            let error = classify("prog", &errno.into());
            assert_eq!(matches!(error, StartError::System { .. }), is_system, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check(Errno::NOENT, false, "\"prog\": no such program in PATH");
        check(Errno::ACCESS, false, "not executable");
        check(Errno::TOOBIG, false, "\"prog\"");
        check(Errno::AGAIN, true, "could not start \"prog\"");
        check(Errno::MFILE, true, "could not start \"prog\"");
    }
}
