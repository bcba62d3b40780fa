//! What this machine has, as the resources of one node.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::{NodeResources, Quantity, ResourceName, ResourcesError};

/// Why it cannot be told what this machine has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MachineError {
    /// The number of processors is unknown.
    #[error("could not count the processors ({source}); give their number as cpus:N")]
    Cpus {
        /// The cause.
        source: io::Error,
    },
    /// The amount of memory is unknown.
    #[error("could not read the memory's size from /proc/meminfo ({source}); give it as mem:MIB")]
    Mem {
        /// The cause.
        source: io::Error,
    },
    /// The free space is unknown.
    #[error("could not read the free space of {} ({source}); give it as disk:MIB", path.display())]
    Disk {
        /// Of which directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The overrides and what was found are too many names together.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
}

/// This machine as a node: `cpus` as this process may use them, `mem` as installed (MiB), `disk` as
/// free now where `store` is (MiB). What `overrides` names takes the place of what was found, and
/// is not looked for.
pub fn machine_resources(store: &Path, overrides: &NodeResources) -> Result<NodeResources, MachineError> {
    let is_given = |name: &str| overrides.iter().any(|(given, _)| given.as_str() == name);
    let mut found = NodeResources::new();
    if !is_given(ResourceName::CPUS) {
        found = found.with(ResourceName::CPUS, Quantity::whole(cpus()?))?;
    }
    if !is_given(ResourceName::MEM) {
        found = found.mem_mib(mem_mib()?);
    }
    if !is_given(ResourceName::DISK) {
        found = found.disk_mib(disk_mib(store)?);
    }
    Ok(found.overridden_by(overrides)?)
}

fn cpus() -> Result<u64, MachineError> {
    let n = std::thread::available_parallelism().map_err(|source| MachineError::Cpus { source })?;
    Ok(n.get() as u64)
}

fn mem_mib() -> Result<u64, MachineError> {
    std::fs::read_to_string("/proc/meminfo")
        .and_then(|text| mem_total_kib(&text).ok_or_else(|| io::ErrorKind::InvalidData.into()))
        .map(|kib| kib / 1_024)
        .map_err(|source| MachineError::Mem { source })
}

fn mem_total_kib(meminfo: &str) -> Option<u64> {
    let rest = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn disk_mib(store: &Path) -> Result<u64, MachineError> {
    let stat = rustix::fs::statvfs(store)
        .map_err(|errno| MachineError::Disk { path: store.to_owned(), source: errno.into() })?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_something_of_everything() {
        let found = machine_resources(Path::new("/"), &NodeResources::new()).expect("a machine");
        for name in [ResourceName::CPUS, ResourceName::MEM] {
            assert!(found.get(name) >= Quantity::whole(1), "{found}");
        }
        assert_eq!(found.iter().len(), 3, "{found}");
    }

    #[test]
    fn overrides_take_the_place_of_what_was_found() {
        let given = "cpus:0.5,mem:64,disk:10,gpus:1".parse().expect("resources");
        let found = machine_resources(Path::new("/no/such/place"), &given).expect("nothing is looked for");
        assert_eq!(found, given);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said() {
        let error = machine_resources(Path::new("/no/such/place"), &NodeResources::new());
        assert!(error.expect_err("no disk").to_string().contains("/no/such/place"));
    }

    #[test]
    fn memory_is_read_from_its_line() {
        assert_eq!(mem_total_kib("MemFree: 1 kB\nMemTotal:   2048 kB\n"), Some(2_048));
        assert_eq!(mem_total_kib("MemTotal: many kB"), None);
        assert_eq!(mem_total_kib(""), None);
    }
}
