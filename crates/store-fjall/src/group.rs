//! The writer thread: group commit with expectations.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use futures::channel::oneshot;
use store::{Batch, Error, Range, Table, staging::Staging};

/// Commits waiting beyond this many make their callers wait.
const QUEUE_MAX: usize = 64;
/// A group takes no further batch once it holds this much; it bounds the writer's memory.
const GROUP_MAX_BYTES: usize = 8 << 20;
const GROUP_MAX_BATCHES: usize = 256;

/// A commit on its way to the writer thread.
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Result<(), Error>>,
}

/// What the writer thread needs of an engine.
pub(crate) trait Backend: Send + 'static {
    /// The current value of a row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, Error>;
    /// The current keys of a range.
    fn keys(&self, table: Table, range: &Range) -> Result<Vec<Bytes>, Error>;
    /// Whether there is room for a batch that can wait.
    fn has_room_for(&self, batch: &Batch) -> bool;
    /// Applies changes atomically and durably.
    fn write(&mut self, changes: &Staging) -> Result<(), WriteFault>;
    /// Called once, after the last write.
    fn close(&mut self);
}

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum WriteFault {
    /// Nothing happened; the next group may succeed.
    Refused(Error),
    /// It is unknown what happened; nothing more may be written.
    Broken(Error),
}

/// A handle to the writer thread. Dropping it ends the thread after the queued commits.
pub(crate) struct Writer {
    queue: Option<flume::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(mut backend: impl Backend) -> io::Result<Self> {
        let (queue, jobs) = flume::bounded(QUEUE_MAX);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                run(&mut backend, &jobs);
                backend.close();
            })?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Queues a commit; waits while the queue is full.
    pub(crate) async fn submit(&self, job: Job) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send_async(job).await.map_err(|_| Error::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was already answered to its callers.
            let _ = thread.join();
        }
    }
}

fn run(backend: &mut impl Backend, jobs: &flume::Receiver<Job>) {
    let mut is_broken = false;
    while let Ok(first) = jobs.recv() {
        if is_broken {
            let _ = first.answer.send(Err(Error::Poisoned));
            continue;
        }
        let mut group = Group::default();
        group.admit(backend, first);
        while group.has_room()
            && let Ok(next) = jobs.try_recv()
        {
            group.admit(backend, next);
        }
        is_broken = group.finish(backend);
    }
}

/// Batches that become durable together.
#[derive(Default)]
struct Group {
    staging: Staging,
    members: Vec<Member>,
    size_bytes: usize,
}

/// A batch of a group: how it will be answered if the group is written.
struct Member {
    answer: oneshot::Sender<Result<(), Error>>,
    outcome: Result<(), Error>,
}

impl Group {
    fn has_room(&self) -> bool {
        self.size_bytes < GROUP_MAX_BYTES && self.members.len() < GROUP_MAX_BATCHES
    }

    /// Adds a batch if its expectations hold after the batches already here.
    fn admit(&mut self, backend: &impl Backend, job: Job) {
        if job.batch.is_deferrable() && !backend.has_room_for(&job.batch) {
            // Alone, so that what cannot wait goes on. The caller may have gone away.
            let _ = job.answer.send(Err(Error::Full));
            return;
        }
        self.size_bytes = self.size_bytes.saturating_add(job.batch.size_bytes());
        let stored = |table, key: &Bytes| backend.get(table, key);
        let outcome = self.staging.add(&job.batch, stored, |table, range| {
            backend.keys(table, range)
        });
        let answer = job.answer;
        self.members.push(Member { answer, outcome });
    }

    /// Writes the group and answers every batch of it; whether the backend is broken from now on.
    fn finish(self, backend: &mut impl Backend) -> bool {
        let written = if self.staging.is_empty() {
            Ok(())
        } else {
            let write = AssertUnwindSafe(|| backend.write(&self.staging));
            catch_unwind(write).unwrap_or(Err(WriteFault::Broken(Error::Poisoned)))
        };
        let (fault, is_broken) = match written {
            Ok(()) => (None, false),
            Err(WriteFault::Refused(error)) => (Some(error), false),
            Err(WriteFault::Broken(error)) => (Some(error), true),
        };
        for Member { answer, outcome } in self.members {
            // A conflict may rest on a batch of this group that did not become durable.
            let outcome = match (&fault, outcome) {
                (Some(error), Ok(()) | Err(Error::Conflict { .. })) => Err(error.clone()),
                (_, outcome) => outcome,
            };
            // The caller may have gone away.
            let _ = answer.send(outcome);
        }
        is_broken
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, VecDeque},
        sync::{Arc, Mutex, mpsc},
    };

    use bytes::Bytes;
    use futures::{channel::oneshot, executor::block_on};
    use store::{Batch, Error, Expect, Range, Table, staging::Staging};

    use super::{Backend, Job, WriteFault, Writer};

    const T: Table = Table::new("t");
    const BROKEN_DISK: Error = Error::Io {
        doing: "writing",
        kind: std::io::ErrorKind::Other,
    };

    #[derive(Default)]
    struct Disk {
        rows: BTreeMap<Bytes, Bytes>,
        groups: Vec<usize>,
        faults: VecDeque<Option<WriteFault>>,
        is_short: bool,
    }

    /// Announces each write and waits for leave to do it, so that tests decide what is grouped.
    struct Fake {
        disk: Arc<Mutex<Disk>>,
        announce: mpsc::Sender<()>,
        leave: mpsc::Receiver<()>,
    }

    impl Backend for Fake {
        fn get(&self, _: Table, key: &[u8]) -> Result<Option<Bytes>, Error> {
            Ok(self.disk.lock().unwrap().rows.get(key).cloned())
        }

        fn keys(&self, _: Table, range: &Range) -> Result<Vec<Bytes>, Error> {
            let disk = self.disk.lock().unwrap();
            Ok(disk
                .rows
                .keys()
                .filter(|key| range.contains(key))
                .cloned()
                .collect())
        }

        fn has_room_for(&self, _: &Batch) -> bool {
            !self.disk.lock().unwrap().is_short
        }

        fn write(&mut self, changes: &Staging) -> Result<(), WriteFault> {
            self.announce.send(()).unwrap();
            self.leave.recv().unwrap();
            let mut disk = self.disk.lock().unwrap();
            if let Some(Some(fault)) = disk.faults.pop_front() {
                return Err(fault);
            }
            disk.groups.push(changes.changes().count());
            for (_, key, change) in changes.changes() {
                match change {
                    Some(value) => disk.rows.insert(key.clone(), value.clone()),
                    None => disk.rows.remove(key),
                };
            }
            Ok(())
        }

        fn close(&mut self) {}
    }

    struct Rig {
        writer: Writer,
        disk: Arc<Mutex<Disk>>,
        announced: mpsc::Receiver<()>,
        leave: mpsc::Sender<()>,
    }

    impl Rig {
        fn new(faults: impl IntoIterator<Item = Option<WriteFault>>) -> Self {
            let faults = faults.into_iter().collect();
            let disk = Arc::new(Mutex::new(Disk {
                faults,
                ..Disk::default()
            }));
            let (announce, announced) = mpsc::channel();
            let (leave, left) = mpsc::channel();
            let fake = Fake {
                disk: Arc::clone(&disk),
                announce,
                leave: left,
            };
            Self {
                writer: Writer::start(fake).unwrap(),
                disk,
                announced,
                leave,
            }
        }

        fn submit(&self, batch: Batch) -> oneshot::Receiver<Result<(), Error>> {
            let (answer, answered) = oneshot::channel();
            block_on(self.writer.submit(Job { batch, answer })).unwrap();
            answered
        }

        /// Submits one batch that is written alone, and the others while that one is being
        /// written, so that they form one group. Their answers, in order.
        fn group(&self, batches: impl IntoIterator<Item = Batch>) -> Vec<Result<(), Error>> {
            let first = self.submit(put("first", "0"));
            self.announced.recv().unwrap();
            let waiting: Vec<_> = batches
                .into_iter()
                .map(|batch| self.submit(batch))
                .collect();
            self.leave.send(()).unwrap();
            block_on(first).unwrap().unwrap();
            self.announced.recv().unwrap();
            self.leave.send(()).unwrap();
            waiting
                .into_iter()
                .map(|answer| block_on(answer).unwrap())
                .collect()
        }

        fn keys(&self) -> Vec<String> {
            let disk = self.disk.lock().unwrap();
            disk.rows
                .keys()
                .map(|key| String::from_utf8(key.to_vec()).unwrap())
                .collect()
        }
    }

    fn put(key: &str, value: &'static str) -> Batch {
        Batch::new().put(T, key, value)
    }

    #[test]
    fn what_waits_is_written_together_and_sees_what_came_before_it() {
        let rig = Rig::new([]);
        let equals = |value: &'static str| Expect::Equals(Bytes::from_static(value.as_bytes()));
        let answers = rig.group([
            put("a", "1").expect(T, "first", Expect::Present),
            put("a", "2").expect(T, "a", equals("1")),
            put("a", "3")
                .expect(T, "a", equals("1"))
                .put(T, "b", "never"),
            put("c", "4")
                .delete_range(T, Range::prefix("c"))
                .put(T, "d", "5"),
            Batch::new()
                .expect(T, "c", Expect::Absent)
                .expect(T, "d", Expect::Present),
            Batch::new().delete_range(T, Range::prefix("f")),
            Batch::new().expect(T, "first", Expect::Present),
        ]);
        let conflict = Err(Error::Conflict { table: T });
        assert_eq!(
            answers,
            [
                Ok(()),
                Ok(()),
                conflict.clone(),
                Ok(()),
                Ok(()),
                Ok(()),
                conflict
            ]
        );
        assert_eq!(rig.disk.lock().unwrap().groups, [1, 4]);
        assert_eq!(rig.keys(), ["a", "d"]);
    }

    #[test]
    fn a_failed_write_answers_its_whole_group_and_poisons() {
        let rig = Rig::new([None, Some(WriteFault::Broken(BROKEN_DISK))]);
        let answers = rig.group([
            put("a", "1"),
            put("b", "2").expect(T, "a", Expect::Absent),
            Batch::new().expect(T, "a", Expect::Present),
        ]);
        // The second would be a conflict only if the first had become durable.
        assert_eq!(answers, vec![Err(BROKEN_DISK); 3]);
        assert_eq!(rig.keys(), ["first"]);
        for _ in 0..3 {
            assert_eq!(
                block_on(rig.submit(put("c", "3"))).unwrap(),
                Err(Error::Poisoned)
            );
        }
    }

    #[test]
    fn a_refused_write_answers_its_group_and_goes_on() {
        let rig = Rig::new([None, Some(WriteFault::Refused(Error::Full))]);
        assert_eq!(
            rig.group([put("a", "1"), put("b", "2")]),
            vec![Err(Error::Full); 2]
        );
        let answer = rig.submit(put("c", "3"));
        rig.announced.recv().unwrap();
        rig.leave.send(()).unwrap();
        assert_eq!(block_on(answer).unwrap(), Ok(()));
        assert_eq!(rig.keys(), ["c", "first"]);
    }

    #[test]
    fn on_a_short_disk_what_can_wait_is_refused_alone() {
        let rig = Rig::new([]);
        rig.disk.lock().unwrap().is_short = true;
        let answers = rig.group([
            put("a", "1"),
            put("b", "2").deferrable(),
            put("c", "3").and(Batch::new().deferrable()),
            put("d", "4"),
        ]);
        assert_eq!(
            answers,
            [Ok(()), Err(Error::Full), Err(Error::Full), Ok(())]
        );
        assert_eq!(rig.keys(), ["a", "d", "first"]);
    }

    #[test]
    fn a_panic_while_writing_poisons() {
        let rig = Rig::new([]);
        let first = rig.submit(put("a", "1"));
        rig.announced.recv().unwrap();
        let Rig { writer, leave, .. } = rig;
        drop(leave);
        assert_eq!(block_on(first).unwrap(), Err(Error::Poisoned));
        let (answer, answered) = oneshot::channel();
        block_on(writer.submit(Job {
            batch: put("b", "2"),
            answer,
        }))
        .unwrap();
        assert_eq!(block_on(answered).unwrap(), Err(Error::Poisoned));
    }

    #[test]
    fn closing_answers_what_is_queued() {
        let rig = Rig::new([]);
        let first = rig.submit(put("a", "1"));
        rig.announced.recv().unwrap();
        let second = rig.submit(put("b", "2"));
        let Rig {
            writer,
            leave,
            disk,
            announced,
        } = rig;
        leave.send(()).unwrap();
        leave.send(()).unwrap();
        drop(writer);
        assert_eq!(block_on(first).unwrap(), Ok(()));
        assert_eq!(block_on(second).unwrap(), Ok(()));
        assert_eq!(disk.lock().unwrap().rows.len(), 2);
        drop(announced);
    }
}
