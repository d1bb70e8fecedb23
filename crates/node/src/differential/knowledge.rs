//! What a node knows of diseases: the same for all its subjects, and made once.

use super::counted::{Counted, Made};
use super::profile::Profile;
use codec::id::{Digest, SubjectId};
use codec::time::Millis;
use diagnosis::{CaseCounts, Findings, Model, NotWeights, Ranking, Session, Weights};
use ontology::{DiseaseId, DiseaseIx, Ontology};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Terms, diseases and the model made of them, without anybody's cases.
pub struct Knowledge {
    pub(crate) ontology: Ontology,
    model: Arc<Model>,
    weights: Weights,
    stamp: String,
}

impl Knowledge {
    /// Makes the model: some 200 ms and 100 MB.
    ///
    /// # Errors
    /// [`NotWeights`] if the program's own weights cannot be read.
    pub fn new(ontology: Ontology) -> Result<Self, NotWeights> {
        let weights = Weights::shipped()?;
        let model = Model::new(&ontology, weights.clone(), &CaseCounts::default());
        let mut stamp = format!("{}/{}", env!("CARGO_PKG_VERSION"), weights.version);
        for source in ontology.versions() {
            stamp.push_str(&format!("/{:016x}", source.digest >> 64));
        }
        Ok(Self {
            ontology,
            model: Arc::new(model),
            weights,
            stamp,
        })
    }

    /// The terms and diseases.
    pub fn ontology(&self) -> &Ontology {
        &self.ontology
    }

    /// Names program, weights and data: answers under another stamp are made again.
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    pub(crate) fn disease(&self, id: &str) -> Option<DiseaseIx> {
        self.ontology.find_disease(id.parse::<DiseaseId>().ok()?)
    }

    pub(crate) fn disease_id(&self, disease: DiseaseIx) -> String {
        self.ontology.disease(disease).id().to_string()
    }
}

impl std::fmt::Debug for Knowledge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Knowledge({})", self.stamp)
    }
}

/// Knowledge at work in one node: with its own cases, and what of it lives in memory.
pub(crate) struct Insight {
    pub(crate) knowledge: Arc<Knowledge>,
    made: RwLock<Arc<Made>>,
    counted: Mutex<Counted>,
    /// Changes that nobody has looked at.
    unseen: Mutex<BTreeMap<SubjectId, Millis>>,
    /// Of what each profile was made.
    bases: Mutex<BTreeMap<SubjectId, Digest>>,
    due: Mutex<Due>,
    /// Whether the cases changed since the model was made.
    recount: AtomicBool,
    /// Whether every profile was taken up since the start.
    loaded: AtomicBool,
}

/// The most subjects that are remembered one by one, as due and with their bases; beyond, the vault's marks
/// are read again, and profiles made again that need not be.
const SUBJECTS_MAX: usize = 200_000;

/// Subjects whose derivation is due, first come first served.
#[derive(Default)]
struct Due {
    order: VecDeque<SubjectId>,
    known: BTreeSet<SubjectId>,
}

impl Insight {
    pub(crate) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self {
            made: RwLock::new(Arc::new(Made::plain(knowledge.model.clone()))),
            knowledge,
            counted: Mutex::default(),
            unseen: Mutex::default(),
            bases: Mutex::default(),
            due: Mutex::default(),
            recount: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
        }
    }

    pub(crate) fn ontology(&self) -> &Ontology {
        &self.knowledge.ontology
    }

    /// The model with the cases in it.
    pub(crate) fn made(&self) -> Arc<Made> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.clone()
    }

    /// Makes the model again, if the cases changed since; whether it did.
    pub(crate) fn make(&self) -> bool {
        if !self.recount.swap(false, Ordering::AcqRel) {
            return false;
        }
        let cases = lock(&self.counted).cases();
        let made = if cases.is_empty() {
            Made::plain(self.knowledge.model.clone())
        } else {
            Made::new(self.ontology(), self.knowledge.weights.clone(), cases)
        };
        *self.made.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(made);
        true
    }

    pub(crate) fn unseen(&self) -> MutexGuard<'_, BTreeMap<SubjectId, Millis>> {
        lock(&self.unseen)
    }

    /// Whether every profile was taken up since the start.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(crate) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// Remembers that a subject's derivation is due, as its mark in the vault says.
    pub(crate) fn due(&self, subject: SubjectId) {
        let mut due = lock(&self.due);
        // Beyond the bound the marks are enough: they are all looked at now and then.
        if due.known.len() < SUBJECTS_MAX && due.known.insert(subject) {
            due.order.push_back(subject);
        }
    }

    /// The next subject that is due.
    pub(crate) fn due_next(&self) -> Option<SubjectId> {
        let mut due = lock(&self.due);
        let subject = due.order.pop_front()?;
        due.known.remove(&subject);
        Some(subject)
    }

    pub(crate) fn is_any_due(&self) -> bool {
        !lock(&self.due).order.is_empty()
    }

    /// Whether a subject's profile was made of this.
    pub(crate) fn is_of(&self, subject: &SubjectId, basis: &Digest) -> bool {
        lock(&self.bases).get(subject) == Some(basis)
    }

    pub(crate) fn set_basis(&self, subject: SubjectId, basis: Digest) {
        let mut bases = lock(&self.bases);
        if bases.len() < SUBJECTS_MAX || bases.contains_key(&subject) {
            bases.insert(subject, basis);
        }
    }

    pub(crate) fn counts(&self, subject: &SubjectId) -> bool {
        lock(&self.counted).has(subject)
    }

    /// Takes a subject's case out of the counts.
    pub(crate) fn uncount(&self, subject: &SubjectId) {
        if lock(&self.counted).remove(subject) {
            self.recount.store(true, Ordering::Release);
        }
    }

    /// Takes away the cases whose grants are over.
    pub(crate) fn expire(&self, now: Millis) {
        if lock(&self.counted).expire(now) {
            self.recount.store(true, Ordering::Release);
        }
    }

    /// What memory holds of a subject goes: it was erased, or nothing of it may be used now.
    pub(crate) fn forget(&self, subject: &SubjectId) {
        self.unseen().remove(subject);
        lock(&self.bases).remove(subject);
        self.uncount(subject);
    }

    /// Takes up what a profile says: of what it was made, whether it has news, and its case, if the subject
    /// agrees now.
    pub(crate) fn take_up(&self, subject: SubjectId, profile: &Profile, agrees: bool, now: Millis) {
        self.set_basis(subject, profile.basis);
        match profile.unseen_since() {
            Some(at) => self.unseen().insert(subject, at),
            None => self.unseen().remove(&subject),
        };
        let case = profile.case(&self.knowledge);
        match case.filter(|case| agrees && case.until > now) {
            None => self.uncount(&subject),
            Some(case) => {
                if lock(&self.counted).put(subject, case) {
                    self.recount.store(true, Ordering::Release);
                }
            }
        }
    }

    /// Ranks findings that were kept. `None` if they are none that can be ranked.
    pub(crate) fn rank(
        &self,
        made: &Made,
        subject: &SubjectId,
        profile: &Profile,
    ) -> Option<Ranking> {
        let presentation = profile.findings.presentation();
        let (findings, _) = Findings::read(self.ontology(), &presentation).ok()?;
        let mut session = Session::new(&made.model, findings);
        // INVARIANT: nobody is evidence for themselves, nor a case for another of its paper.
        let papers = profile.papers.iter().cloned().collect();
        for (disease, counts) in made.aside(subject, &papers) {
            session.set_aside(self.ontology(), disease, &counts);
        }
        Some(session.rank())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
