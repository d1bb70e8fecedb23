//! Stage 2: what the conditional logit sees of a patient and one disease.

use crate::{
    findings::{Findings, OnsetClass},
    math::ln,
    model::{Entry, SexLink, Summary, UNEXPLAINED},
    profile::Profile,
    sheet::Forward,
    stage::Query,
};

macro_rules! features {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A feature of (patient, disease).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Feature { $($(#[$doc])* $variant,)* }

        /// Every feature, in the order of a vector.
        pub(crate) const FEATURES: &[Feature] = &[$(Feature::$variant,)*];

        impl Feature {
            pub(crate) const COUNT: usize = FEATURES.len();

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Feature::$variant => $name,)* }
            }
        }
    };
}

features! {
    /// Stage 1, over the root of the number of findings.
    Narrow = "narrow",
    /// The wide stage 1, likewise.
    Wide = "wide",
    /// The three findings that stage 1 likes best.
    BestThree = "best_three",
    /// Cost of the disease's features that the patient lacks (never positive).
    Unexplained = "unexplained",
    /// The same, damped.
    UnexplainedLog = "unexplained_log",
    /// The same, as a share of what it could be.
    UnexplainedShare = "unexplained_share",
    /// Cost of the excluded findings that the disease should show (never positive).
    Excluded = "excluded",
    /// Mean Resnik similarity of the findings.
    Resnik = "resnik",
    /// The same, each over its finding's own information.
    Lin = "lin",
    /// Share of findings that are annotated as such.
    Exact = "exact",
    /// Share of findings the disease has nothing to do with.
    Foreign = "foreign",
    /// Shared over all information (simGIC).
    SimGic = "sim_gic",
    /// Cosine of the two closures.
    Cosine = "cosine",
    /// Geometric mean of Resnik similarity and shared information (after PhenoDigm).
    PhenoDigm = "phenodigm",
    /// How likely the patient's onset is.
    Onset = "onset",
    /// How likely an onset by the patient's age is.
    ByAge = "by_age",
    /// X-linked disease and the patient's sex.
    Sex = "sex",
    /// Number of annotations, log.
    Annotations = "annotations",
    /// Number of papers, log.
    Papers = "papers",
    /// Prevalence class.
    Prevalence = "prevalence",
    /// How much better another disease of the same gene fits.
    Sibling = "sibling",
    /// [`Feature::Unexplained`] where there are few findings.
    FewUnexplained = "few_unexplained",
    /// [`Feature::Cosine`] where there are few findings.
    FewCosine = "few_cosine",
    /// [`Feature::Exact`] where there are few findings.
    FewExact = "few_exact",
    /// [`Feature::Papers`] where there are few findings.
    FewPapers = "few_papers",
    /// [`Feature::Annotations`] where there are few findings.
    FewAnnotations = "few_annotations",
}

/// Few findings: this many weigh one half.
const FEW: f32 = 5.0;

/// What does not depend on the disease's place: its profile and the sums over it.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) profile: &'a Profile,
    pub(crate) summary: Summary,
}

/// Everything that features need besides the disease.
pub(crate) struct Patient<'a> {
    pub(crate) query: &'a Query<'a>,
    pub(crate) findings: &'a Findings,
}

impl Patient<'_> {
    /// The features of one disease. `best_sibling` is the greatest stage-1 score of the diseases that
    /// share a gene with it, if any.
    pub(crate) fn features(
        &self,
        view: View<'_>,
        best_sibling: Option<f32>,
        forward: &Forward,
    ) -> [f32; Feature::COUNT] {
        let query = self.query;
        let count = query.observed.len().max(1) as f32;
        let (unexplained, exact) = self.annotated(view.profile);
        let few = FEW / (FEW + count);
        let cosine = forward.product / (query.length * view.summary.length).max(1e-6);
        let exact = exact / count;
        let annotations = ln(1.0 + view.profile.annotated.len() as f32);
        let papers = ln(1.0 + view.profile.papers as f32);
        let (onset, by_age) = self.onset(view.entry);
        let mut x = [0.0; Feature::COUNT];
        let mut set = |feature: Feature, value: f32| x[feature as usize] = value;
        set(Feature::Narrow, forward.narrow / count.sqrt());
        set(Feature::Wide, forward.wide / count.sqrt());
        set(Feature::BestThree, forward.best_three);
        set(Feature::Unexplained, unexplained);
        set(Feature::UnexplainedLog, -ln(1.0 - unexplained));
        set(
            Feature::UnexplainedShare,
            unexplained / view.summary.all_unexplained.min(-0.1),
        );
        set(Feature::Excluded, forward.excluded);
        set(Feature::Resnik, forward.resnik / count);
        set(Feature::Lin, forward.lin / count);
        set(Feature::Exact, exact);
        set(Feature::Foreign, forward.foreign / count);
        let either = query.information + view.summary.information - forward.shared;
        set(Feature::SimGic, forward.shared / either.max(1e-6));
        set(Feature::Cosine, cosine);
        set(Feature::PhenoDigm, forward.phenodigm / count);
        set(Feature::Onset, onset);
        set(Feature::ByAge, by_age);
        set(Feature::Sex, self.sex(view.entry));
        set(Feature::Annotations, annotations);
        set(Feature::Papers, papers);
        set(Feature::Prevalence, view.entry.prevalence);
        let sibling = best_sibling.map_or(0.0, |best| (best - forward.narrow).max(0.0) / count);
        set(Feature::Sibling, sibling);
        set(Feature::FewUnexplained, few * unexplained);
        set(Feature::FewCosine, few * cosine);
        set(Feature::FewExact, few * exact);
        set(Feature::FewPapers, few * papers);
        set(Feature::FewAnnotations, few * annotations);
        x
    }

    /// Sum over annotated features of `ln(1 - frequency * (1 - similarity) * UNEXPLAINED)`, and how
    /// many of them were observed.
    fn annotated(&self, profile: &Profile) -> (f32, f32) {
        let query = self.query;
        let (mut sum, mut product, mut exact) = (0.0_f32, 1.0_f32, 0.0_f32);
        for &(term, frequency) in &profile.annotated {
            let similarity = query.similarity[term as usize];
            product *= 1.0 - UNEXPLAINED * frequency * (1.0 - similarity);
            if product < 1e-20 {
                sum += ln(product);
                product = 1.0;
            }
            if similarity >= 1.0 {
                let place = usize::from(query.place_of[term as usize]);
                exact += match query.observed_at.get(place) {
                    Some(true) => 1.0,
                    _ => 0.0,
                };
            }
        }
        (sum + ln(product), exact)
    }

    fn onset(&self, entry: &Entry) -> (f32, f32) {
        let Some(shares) = &entry.onset else {
            return (0.0, 0.0);
        };
        let likely = |near: &dyn Fn(OnsetClass) -> f32| {
            let p: f32 = OnsetClass::ALL
                .iter()
                .zip(shares)
                .map(|(&class, share)| share * near(class))
                .sum();
            ln(p * 0.95 + 0.05)
        };
        if let Some(onset) = self.findings.onset() {
            (likely(&|class| class.nearness(onset)) + 1.0, 0.0)
        } else if let Some(age) = self.findings.age() {
            let by_then = |class: OnsetClass| match class <= age {
                true => 1.0,
                false => class.nearness(age),
            };
            (0.0, likely(&by_then))
        } else {
            (0.0, 0.0)
        }
    }

    fn sex(&self, entry: &Entry) -> f32 {
        use ontology::Sex;
        match (entry.sex_link, self.findings.sex()) {
            (SexLink::None, _) | (_, None) => 0.0,
            (SexLink::XLinkedDominant, Some(Sex::Male)) => -0.7,
            (SexLink::XLinkedDominant, Some(Sex::Female)) => 0.7,
            (_, Some(Sex::Male)) => 0.7,
            (SexLink::XLinkedRecessive, Some(Sex::Female)) => -1.5,
            (SexLink::XLinked, Some(Sex::Female)) => -0.7,
        }
    }
}

/// Frequency above which a feature's absence speaks against the disease.
const EXPECTED: f32 = 0.5;

/// What excluding a feature of this frequency costs, in logs: nothing up to [`EXPECTED`].
pub(crate) fn exclusion_cost(frequency: f32) -> f32 {
    if frequency <= EXPECTED {
        return 0.0;
    }
    ln((1.0 - 0.95 * frequency) / (1.0 - 0.95 * EXPECTED))
}
