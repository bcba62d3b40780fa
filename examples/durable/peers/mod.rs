//! The queues we are measured against, as benches/peers/run.sh starts them: clients of their
//! protocols, made of nothing but sockets.

mod beanstalkd;
mod postgres;
mod redis;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use beanstalkd::Beanstalkd;
pub(crate) use postgres::{Life, Postgres};
pub(crate) use redis::{Kind, Redis};

use crate::figures::Anything;
use crate::place::Place;

/// Longest silence of a peer.
const SILENCE: Duration = Duration::from_mins(1);

/// Where they listen; none: not there.
#[derive(Default)]
pub(crate) struct Addresses {
    pub(crate) beanstalkd: Option<SocketAddr>,
    pub(crate) redis: Option<SocketAddr>,
    pub(crate) postgres: Option<SocketAddr>,
    /// The directory of their files.
    pub(crate) files: Option<PathBuf>,
}

impl Addresses {
    /// From the environment that benches/peers/run.sh makes.
    pub(crate) fn from_environment() -> Anything<Self> {
        let address = |name: &str| {
            let Ok(text) = std::env::var(name) else { return Ok(None) };
            let address: SocketAddr =
                text.parse().map_err(|error| format!("{name}={text} is no address: {error}"))?;
            if address.ip().is_loopback() {
                return Ok(Some(address));
            }
            Err(format!("{name}={text} is not on loopback: a network is not what is measured"))
        };
        Ok(Self {
            beanstalkd: address("WEIGHBRIDGE_PEER_BEANSTALKD")?,
            redis: address("WEIGHBRIDGE_PEER_REDIS")?,
            postgres: address("WEIGHBRIDGE_PEER_POSTGRES")?,
            files: std::env::var_os("WEIGHBRIDGE_PEERS_DIR").map(PathBuf::from),
        })
    }

    /// Holds that the files of the peers are on the disk of ours.
    pub(crate) fn check_disk(&self, place: &Place) -> Anything<()> {
        let Some(files) = &self.files else { return Ok(()) };
        if place.shares_disk_with(files)? {
            return Ok(());
        }
        let files = files.display();
        Err(format!("{files} is on another file system than our files: name one place with both --dir")
            .into())
    }
}

fn connect(address: SocketAddr) -> Anything<TcpStream> {
    let stream =
        TcpStream::connect(address).map_err(|error| format!("could not connect to {address}: {error}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// Sends all of `bytes` at once.
fn send(mut stream: &TcpStream, bytes: &[u8]) -> Anything<()> {
    Ok(stream.write_all(bytes)?)
}
