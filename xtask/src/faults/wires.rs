//! The wires between the nodes: a TCP proxy for each ordered pair, which can be cut in either direction.
//!
//! A cut wire is silent, as one is on which every packet is lost: nothing passes, nothing is refused, and what
//! was sent meanwhile arrives once it is mended, if both ends still wait for it.

use anyhow::{Context, Result};
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use super::COUNT;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a silent wire is looked at.
const LOOK: Duration = Duration::from_millis(5);
const BUFFER_BYTES: usize = 16 << 10;

/// Which directions are cut; `[from][to]`.
#[derive(Clone, Default)]
pub(crate) struct Wires(Arc<[[AtomicBool; COUNT]; COUNT]>);

impl Wires {
    /// Cuts one direction, or mends it.
    pub(crate) fn cut(&self, from: usize, to: usize, cut: bool) {
        self.0[from][to].store(cut, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        for direction in self.0.iter().flatten() {
            direction.store(false, Ordering::SeqCst);
        }
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.0[from][to].load(Ordering::SeqCst)
    }

    /// Carries what one node dials another for, until this process ends; where the first has to dial.
    pub(crate) fn lay(&self, from: usize, to: usize, target: SocketAddr) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").context("a proxy cannot listen")?;
        let at = listener.local_addr()?;
        let wires = self.clone();
        thread::spawn(move || {
            for dialled in listener.incoming().filter_map(Result::ok) {
                // Whom nobody answers is hung up on, as without a proxy.
                if let Ok(answered) = TcpStream::connect_timeout(&target, CONNECT_TIMEOUT) {
                    wires.join(dialled, answered, from, to).ok();
                }
            }
        });
        Ok(at)
    }

    fn join(&self, dialled: TcpStream, answered: TcpStream, from: usize, to: usize) -> Result<()> {
        dialled.set_nodelay(true)?;
        answered.set_nodelay(true)?;
        let back = (answered.try_clone()?, dialled.try_clone()?);
        let wires = self.clone();
        thread::spawn(move || wires.pump(dialled, answered, from, to));
        let wires = self.clone();
        thread::spawn(move || wires.pump(back.0, back.1, to, from));
        Ok(())
    }

    /// Carries bytes one way until either end is closed.
    fn pump(&self, mut source: TcpStream, mut sink: TcpStream, from: usize, to: usize) {
        let mut buffer = vec![0; BUFFER_BYTES];
        while let Ok(read) = source.read(&mut buffer) {
            while self.is_cut(from, to) {
                thread::sleep(LOOK);
            }
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            if sink.write_all(bytes).is_err() {
                break;
            }
        }
        source.shutdown(Shutdown::Both).ok();
        sink.shutdown(Shutdown::Both).ok();
    }
}
