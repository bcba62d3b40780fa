//! A store, its service and its server, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use weighbridge::{
    ApiState, Engine, JobTypeId, JobTypeSpec, NewJobType, NodeResources, Options, Server, Service,
};

use crate::{Anything, WAIT};

pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    pub(crate) types: Vec<JobTypeId>,
    server: Server,
    service: Service,
    _directory: tempfile::TempDir,
}

/// A type that takes a number.
fn job_type(n: u32) -> Anything<NewJobType> {
    let name = format!("type-{n}");
    let manifest = json!({"seedVersion": "1.0.0", "job": {
        "name": name, "jobVersion": "1.0.0", "packageVersion": "1.0.0", "title": name, "description": "a type",
        "maintainer": {"name": "A. Nobody", "email": "nobody@example.com"}, "timeout": 3600,
        "interface": {"command": "run.sh",
            "inputs": {"files": [], "json": [{"name": "N", "type": "integer", "required": true}]},
            "outputs": {"files": [], "json": []}},
        "resources": {"scalar": [{"name": "cpus", "value": 1.0}, {"name": "mem", "value": 128.0}]}}});
    let needs = NodeResources::new().cpus("1")?.mem_mib(128);
    Ok(NewJobType {
        spec: JobTypeSpec::new(&name, "1.0.0").needs(needs),
        manifest: manifest.to_string().into(),
        docker_image: format!("{name}:1"),
        configuration: "{}".into(),
        is_published: false,
        icon_code: None,
        is_long_running: false,
    })
}

impl Running {
    /// Starts one over a new store below `parent`, by default in cargo's target directory.
    pub(crate) fn start(parent: Option<&Path>, n_types: u32) -> Anything<Self> {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let parent = parent.map_or_else(beside, Path::to_owned);
        std::fs::create_dir_all(&parent)?;
        let directory = tempfile::Builder::new().prefix("rest-").tempdir_in(&parent)?;
        let engine = Engine::open(directory.path(), Options::default())?;
        let service = Service::start_without_driver(engine.clone())?;
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        let server = Server::bind(listen, ApiState::new(engine.clone()))?;
        let types = (0..n_types).map(|n| Ok(engine.put_manifest(job_type(n)?)?.wait_durable(WAIT)?));
        let types = types.collect::<Anything<Vec<JobTypeId>>>()?;
        Ok(Self { address: server.local_addr(), engine, types, server, service, _directory: directory })
    }

    pub(crate) fn stop(self) -> Anything<()> {
        self.server.shutdown(Duration::from_secs(5));
        self.service.stop();
        self.engine.close()?;
        Ok(())
    }
}
