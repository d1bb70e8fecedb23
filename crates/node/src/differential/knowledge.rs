//! What a node knows of diseases: the same for all its subjects, and made once.

use super::counted::Counted;
use super::profile::{Kept, Profile};
use codec::id::SubjectId;
use codec::time::Millis;
use diagnosis::{CaseCounts, Findings, Model, NotWeights, Ranking, Session, Weights};
use ontology::{DiseaseId, DiseaseIx, Ontology};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
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

/// Knowledge at work in one node: with the counts of its own cases, and what of it lives in memory.
pub(crate) struct Insight {
    pub(crate) knowledge: Arc<Knowledge>,
    /// The model with the node's counts.
    model: RwLock<Arc<Model>>,
    /// Cases that count, by subject.
    counted: Mutex<Counted>,
    /// Changes that nobody has looked at.
    unseen: Mutex<BTreeMap<SubjectId, Millis>>,
    due: Mutex<Due>,
    /// Whether the counts changed since the model was made.
    pub(crate) recount: AtomicBool,
}

/// The most subjects that are remembered as due one by one; beyond, the vault's marks are read again.
const DUE_MAX: usize = 100_000;

#[derive(Default)]
struct Due {
    subjects: BTreeSet<SubjectId>,
    overflowed: bool,
}

impl Insight {
    pub(crate) fn new(knowledge: Arc<Knowledge>) -> Self {
        Self {
            model: RwLock::new(knowledge.model.clone()),
            knowledge,
            counted: Mutex::default(),
            unseen: Mutex::default(),
            due: Mutex::default(),
            recount: AtomicBool::new(false),
        }
    }

    pub(crate) fn ontology(&self) -> &Ontology {
        &self.knowledge.ontology
    }

    pub(crate) fn model(&self) -> Arc<Model> {
        let model = self.model.read().unwrap_or_else(PoisonError::into_inner);
        model.clone()
    }

    /// Makes the model again with the counts as they are now.
    pub(crate) fn model_make(&self) {
        let counts = lock(&self.counted).counts().clone();
        let weights = self.knowledge.weights.clone();
        let made = Arc::new(Model::new(self.ontology(), weights, &counts));
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = made;
    }

    pub(crate) fn counted(&self) -> MutexGuard<'_, Counted> {
        lock(&self.counted)
    }

    pub(crate) fn unseen(&self) -> MutexGuard<'_, BTreeMap<SubjectId, Millis>> {
        lock(&self.unseen)
    }

    /// Remembers that a subject's derivation is due, as its mark in the vault says.
    pub(crate) fn due(&self, subject: SubjectId) {
        let mut due = lock(&self.due);
        if due.subjects.len() < DUE_MAX {
            due.subjects.insert(subject);
        } else {
            due.overflowed = true;
        }
    }

    /// The next subject that is due.
    pub(crate) fn due_next(&self) -> Option<SubjectId> {
        lock(&self.due).subjects.pop_first()
    }

    /// Whether subjects were forgotten that are due; once.
    pub(crate) fn due_overflowed(&self) -> bool {
        std::mem::take(&mut lock(&self.due).overflowed)
    }

    /// What memory holds of a subject goes: it was erased, or nothing of it may be used now.
    pub(crate) fn forget(&self, subject: &SubjectId) {
        self.unseen().remove(subject);
        if self.counted().remove(subject) {
            self.recount
                .store(true, std::sync::atomic::Ordering::Release);
        }
    }

    /// Takes up what a profile says: whether its case counts, and whether it has news.
    pub(crate) fn take_up(&self, subject: SubjectId, profile: &Profile, now: Millis) {
        let case = profile.case(&self.knowledge, &subject);
        let case = case.filter(|case| case.until > now);
        let changed = match case {
            Some(case) => self.counted().put(subject, case),
            None => self.counted().remove(&subject),
        };
        if changed {
            self.recount
                .store(true, std::sync::atomic::Ordering::Release);
        }
        match profile.unseen_since() {
            Some(at) => self.unseen().insert(subject, at),
            None => self.unseen().remove(&subject),
        };
    }

    /// Takes away what may count no longer.
    pub(crate) fn expire(&self, now: Millis) {
        if self.counted().expire(now) {
            self.recount
                .store(true, std::sync::atomic::Ordering::Release);
        }
    }

    /// Ranks findings that were kept. `None` if they are none that can be ranked.
    pub(crate) fn rank(
        &self,
        model: &Model,
        subject: &SubjectId,
        findings: &Kept,
    ) -> Option<Ranking> {
        let presentation = findings.presentation();
        let (findings, _) = Findings::read(self.ontology(), &presentation).ok()?;
        let mut session = Session::new(model, findings);
        // INVARIANT: nobody is evidence for themselves.
        let aside = self.counted().without(subject);
        if let Some((disease, counts)) = aside {
            session.set_aside(self.ontology(), disease, &counts);
        }
        Some(session.rank())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
