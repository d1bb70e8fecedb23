//! Threads for reads that may take long, so that they do not hold up the caller's executor.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use futures::channel::oneshot;
use store::Error;

/// Reads waiting beyond this many make their callers wait.
const QUEUE_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A handle to the reader threads. Dropping it ends them after the queued reads.
pub(crate) struct Readers {
    queue: Option<flume::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let (queue, jobs) = flume::bounded::<Job>(QUEUE_MAX);
        let mut readers = Self {
            queue: Some(queue),
            threads: Vec::new(),
        };
        for _ in 0..threads {
            let jobs = jobs.clone();
            let thread = thread::Builder::new().name("store-reader".to_owned());
            readers.threads.push(thread.spawn(move || {
                for job in jobs {
                    // Its caller notices that no answer came.
                    let _ = catch_unwind(AssertUnwindSafe(job));
                }
            })?);
        }
        Ok(readers)
    }

    /// Runs `job` on a reader thread. Not run, or ended by a panic: [`Error::Closed`].
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_canceled() {
                // The caller may have gone away.
                let _ = answer.send(job());
            }
        });
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send_async(job).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|oneshot::Canceled| Error::Closed)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // An abandoned export's sink may hold the last handle to the store: this is its thread.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
