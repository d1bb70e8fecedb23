//! The policy of an institution that has not written one: own care by role, the duties of
//! data protection, quality improvement unless opted out, and nothing for anyone else.

use super::*;
use codec::Category::{Documents, Genomic, Identity, Laboratory, Phenotype, Vitals};

impl Default for Policy {
    fn default() -> Self {
        Self {
            care: care(),
            law: vec![
                rule(
                    "right-of-access",
                    &[Role::PrivacyOfficer],
                    &[Purpose::Patrqt, Purpose::Famrqt, Purpose::Pwatrny],
                    Category::ALL,
                ),
                rule(
                    "data-protection-duties",
                    &[Role::PrivacyOfficer],
                    &[Purpose::Hcompl],
                    &[Identity],
                ),
            ],
            opt_out: vec![rule(
                "quality-improvement",
                &[Role::Clinician, Role::Geneticist, Role::PrivacyOfficer],
                &[Purpose::Hqualimp, Purpose::Patsfty],
                &[Phenotype, Laboratory, Vitals],
            )],
            sharing: sharing(),
            break_glass: BreakGlassPolicy::default(),
            safeguarding: SafeguardingPolicy::default(),
            system: SystemPolicy::default(),
            retention: None,
        }
    }
}

impl Default for BreakGlassPolicy {
    fn default() -> Self {
        Self {
            roles: [
                Role::Clinician,
                Role::Geneticist,
                Role::Nurse,
                Role::EmergencyClinician,
            ]
            .into(),
            categories: Category::ALL.iter().copied().collect(),
            max_minutes: BreakGlass::MAX_MINUTES,
            notice_within_hours: 24,
            review_within_days: 7,
            reviewers: [Role::PrivacyOfficer].into(),
        }
    }
}

impl Default for SafeguardingPolicy {
    fn default() -> Self {
        Self {
            proposers: [
                Role::Clinician,
                Role::Geneticist,
                Role::Nurse,
                Role::EmergencyClinician,
                Role::PrivacyOfficer,
            ]
            .into(),
            approvers: [Role::PrivacyOfficer].into(),
            max_days: 90,
            max_total_days: 365,
        }
    }
}

impl Default for SystemPolicy {
    fn default() -> Self {
        Self {
            purposes: [Purpose::Hsysadmin].into(),
            categories: Category::ALL.iter().copied().collect(),
        }
    }
}

fn care() -> Vec<Rule> {
    const CARE: &[Purpose] = &[
        Purpose::Treat,
        Purpose::Coc,
        Purpose::Etreat,
        Purpose::Ertreat,
        Purpose::Caremgt,
    ];
    vec![
        rule(
            "own-care",
            &[Role::Clinician, Role::Geneticist],
            CARE,
            Category::ALL,
        ),
        rule(
            "own-nursing",
            &[Role::Nurse],
            CARE,
            &[Identity, Phenotype, Laboratory, Vitals, Documents],
        ),
        rule(
            "own-emergency-care",
            &[Role::EmergencyClinician],
            &[Purpose::Treat, Purpose::Etreat, Purpose::Ertreat],
            &[Identity, Phenotype, Laboratory, Vitals, Documents],
        ),
        rule(
            "own-laboratory",
            &[Role::Laboratory],
            &[Purpose::Treat, Purpose::Etreat, Purpose::Ertreat],
            &[Identity, Phenotype, Genomic, Laboratory],
        ),
        rule(
            "own-administration",
            &[Role::Desk],
            &[Purpose::Patadmin, Purpose::Hpaymt, Purpose::Coverage],
            &[Identity],
        ),
    ]
}

fn sharing() -> Vec<SharingRule> {
    const TREATING: &[Role] = &[
        Role::Clinician,
        Role::Geneticist,
        Role::Nurse,
        Role::EmergencyClinician,
        Role::Laboratory,
    ];
    let research = Purpose::ALL
        .iter()
        .copied()
        .filter(|p| p.is_within(Purpose::Hresch));
    vec![
        shared(
            "shared-care",
            TREATING,
            [
                Purpose::Treat,
                Purpose::Coc,
                Purpose::Etreat,
                Purpose::Ertreat,
                Purpose::Caremgt,
            ],
        ),
        shared("shared-research", &[Role::Researcher], research),
        shared(
            "shared-trials",
            &[Role::Clinician, Role::Geneticist, Role::Researcher],
            [Purpose::Clintrl],
        ),
        shared("shared-support", &[Role::Desk], [Purpose::Supnwk]),
        shared(
            "shared-payment",
            &[Role::Desk],
            [Purpose::Hpaymt, Purpose::Coverage],
        ),
        shared(
            "shared-public-health",
            &[Role::Clinician, Role::Researcher],
            [Purpose::Pubhlth, Purpose::Disaster, Purpose::Threat],
        ),
        shared(
            "shared-legal",
            &[Role::PrivacyOfficer],
            [Purpose::Hlegal, Purpose::Hcompl],
        ),
    ]
}

fn rule(name: &'static str, roles: &[Role], purposes: &[Purpose], categories: &[Category]) -> Rule {
    Rule {
        name: RuleName::literal(name),
        roles: roles.iter().copied().collect(),
        purposes: purposes.iter().copied().collect(),
        categories: categories.iter().copied().collect(),
        institutions: BTreeSet::new(),
    }
}

fn shared(
    name: &'static str,
    roles: &[Role],
    purposes: impl IntoIterator<Item = Purpose>,
) -> SharingRule {
    SharingRule {
        name: RuleName::literal(name),
        roles: roles.iter().copied().collect(),
        purposes: purposes.into_iter().collect(),
    }
}
