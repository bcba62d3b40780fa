//! Signals that ask to end, as messages to whoever runs the command.
//!
//! A thread of its own waits for them, so that the first one is noticed whatever the command does,
//! and a second one ends the process there and then: what was answered is on disk by then.

use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Exit;

/// Ctrl-C (SIGINT) and SIGTERM, from the moment this value was made.
pub(super) struct Interrupts(Receiver<()>);

impl Interrupts {
    /// Takes both signals over from the system.
    pub(super) fn listen() -> io::Result<Self> {
        let (sender, receiver) = bounded(1);
        let (ready, is_ready) = bounded(1);
        let thread = std::thread::Builder::new().name("weighbridge-signals".into());
        thread.spawn(move || forward(&sender, &ready))?;
        is_ready.recv().unwrap_or_else(|_| Err(io::Error::other("the thread for signals ended")))?;
        Ok(Self(receiver))
    }

    /// Waits for a signal, at most `timeout`; true when one came.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        self.0.recv_timeout(timeout).is_ok()
    }
}

fn forward(first: &Sender<()>, ready: &Sender<io::Result<()>>) {
    let runtime = match Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    runtime.block_on(async {
        let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (mut interrupt, mut terminate) = match streams {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return drop(ready.send(Err(error))),
        };
        let _ = ready.send(Ok(()));
        next(&mut interrupt, &mut terminate).await;
        let _ = first.send(());
        next(&mut interrupt, &mut terminate).await;
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
