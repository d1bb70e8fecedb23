//! Why data is asked for and by whom: purposes of use and roles.
//!
//! Purposes are concepts of the HL7 v3 value set PurposeOfUse (2.16.840.1.113883.1.11.20448, code
//! system ActReason), spelled as there; and one that it lacks, below quality improvement:
//! [`Purpose::Dximp`]. The standard's hierarchy is used where it can only narrow:
//! opting out of a purpose opts out of everything below it. A grant or rule permits the purposes
//! it names and none below them: in the standard, "break the glass" and "clinical trial" stand
//! below "treatment".

codec::codes! {
    /// A purpose of use, by its HL7 v3 code.
    pub enum Purpose {
        /// Treatment.
        1 => Treat = "TREAT",
        /// Clinical trial, as treatment.
        2 => Clintrl = "CLINTRL",
        /// Coordination of care.
        3 => Coc = "COC",
        /// Emergency treatment.
        4 => Etreat = "ETREAT",
        /// Break the glass.
        5 => Btg = "BTG",
        /// Emergency room treatment.
        6 => Ertreat = "ERTREAT",
        /// Population health.
        7 => Pophlth = "POPHLTH",
        /// Healthcare research.
        20 => Hresch = "HRESCH",
        /// Biomedical research.
        21 => Biorch = "BIORCH",
        /// Clinical trial research.
        22 => Clintrch = "CLINTRCH",
        /// Disease-specific healthcare research.
        23 => Dsrch = "DSRCH",
        /// Population origins or ancestry research.
        24 => Poarch = "POARCH",
        /// Translational healthcare research.
        25 => Transrch = "TRANSRCH",
        /// Patient requested.
        40 => Patrqt = "PATRQT",
        /// Family requested.
        41 => Famrqt = "FAMRQT",
        /// Power of attorney.
        42 => Pwatrny = "PWATRNY",
        /// Support network.
        43 => Supnwk = "SUPNWK",
        /// Public health.
        60 => Pubhlth = "PUBHLTH",
        /// Disaster.
        61 => Disaster = "DISASTER",
        /// Threat.
        62 => Threat = "THREAT",
        /// Healthcare payment.
        80 => Hpaymt = "HPAYMT",
        /// Coverage under a policy or programme.
        81 => Coverage = "COVERAGE",
        /// Healthcare operations.
        100 => Hoperat = "HOPERAT",
        /// Care management.
        101 => Caremgt = "CAREMGT",
        /// Health compliance.
        102 => Hcompl = "HCOMPL",
        /// Legal.
        103 => Hlegal = "HLEGAL",
        /// Health quality improvement.
        104 => Hqualimp = "HQUALIMP",
        /// Health system administration.
        105 => Hsysadmin = "HSYSADMIN",
        /// Patient administration.
        106 => Patadmin = "PATADMIN",
        /// Patient safety.
        107 => Patsfty = "PATSFTY",
        /// Records management.
        108 => Recordmgt = "RECORDMGT",
        /// Training.
        109 => Train = "TRAIN",
        /// Improving diagnosis for others: the case counts among those of its disease. Not of HL7's set;
        /// only ever by a grant, which only the node itself acts on.
        120 => Dximp = "DXIMP",
    }
}

impl Purpose {
    /// The concept above this one in the standard; `None` for the top.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::Clintrl | Self::Coc | Self::Etreat | Self::Pophlth => Some(Self::Treat),
            Self::Btg | Self::Ertreat => Some(Self::Etreat),
            Self::Biorch | Self::Clintrch | Self::Dsrch | Self::Poarch | Self::Transrch => {
                Some(Self::Hresch)
            }
            Self::Famrqt | Self::Pwatrny | Self::Supnwk => Some(Self::Patrqt),
            Self::Disaster | Self::Threat => Some(Self::Pubhlth),
            Self::Coverage => Some(Self::Hpaymt),
            Self::Caremgt
            | Self::Hcompl
            | Self::Hlegal
            | Self::Hqualimp
            | Self::Hsysadmin
            | Self::Patadmin
            | Self::Patsfty
            | Self::Recordmgt
            | Self::Train => Some(Self::Hoperat),
            Self::Dximp => Some(Self::Hqualimp),
            Self::Treat
            | Self::Hresch
            | Self::Patrqt
            | Self::Pubhlth
            | Self::Hpaymt
            | Self::Hoperat => None,
        }
    }

    /// Whether this is `other` or stands below it in the standard.
    pub fn is_within(self, other: Self) -> bool {
        std::iter::successors(Some(self), |p| p.parent()).any(|p| p == other)
    }

    /// Whether this is research.
    pub fn is_research(self) -> bool {
        self.is_within(Self::Hresch) || self == Self::Clintrl
    }

    /// Whether a grant may name this purpose. Breaking the glass and the node's own work are
    /// nothing a family can agree to.
    pub const fn is_grantable(self) -> bool {
        !matches!(self, Self::Btg | Self::Hsysadmin)
    }

    /// Whether no policy's rule may name this purpose, because the decision procedure has its own for it.
    pub const fn has_own_rules(self) -> bool {
        !self.is_grantable() || matches!(self, Self::Dximp)
    }

    /// What this purpose means, to follow "for" in a sentence for a family.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Treat => "treatment",
            Self::Clintrl => "treatment in a clinical trial",
            Self::Coc => "coordinating care between those who treat",
            Self::Etreat => "emergency treatment",
            Self::Btg => "an emergency in which the usual rules were overridden",
            Self::Ertreat => "treatment in an emergency room",
            Self::Pophlth => "the care of a whole group of patients",
            Self::Hresch => "health research",
            Self::Biorch => "biomedical research",
            Self::Clintrch => "clinical trial research",
            Self::Dsrch => "research into this disease or group of diseases",
            Self::Poarch => "research into origins and ancestry",
            Self::Transrch => "research that turns findings into treatments",
            Self::Patrqt => "a request of the person the record is about",
            Self::Famrqt => "a request of the family",
            Self::Pwatrny => "a request under a power of attorney",
            Self::Supnwk => "support by a patient organisation or support network",
            Self::Pubhlth => "public health",
            Self::Disaster => "the response to a disaster",
            Self::Threat => "averting a serious threat",
            Self::Hpaymt => "payment for care",
            Self::Coverage => "checking insurance cover",
            Self::Hoperat => "running the institution",
            Self::Caremgt => "managing care",
            Self::Hcompl => "checking that rules are kept",
            Self::Hlegal => "legal proceedings",
            Self::Hqualimp => "improving the quality of care",
            Self::Hsysadmin => "keeping the record system working",
            Self::Patadmin => "appointments and administration",
            Self::Patsfty => "the safety of patients",
            Self::Recordmgt => "keeping records in order",
            Self::Train => "training professionals",
            Self::Dximp => {
                "improving diagnosis for others, by counting among those with the same disease"
            }
        }
    }
}

codec::codes! {
    /// What someone is at the institution they act for.
    pub enum Role {
        /// Treats patients.
        1 => Clinician = "clinician",
        /// Treats and advises on genetic disease.
        2 => Geneticist = "geneticist",
        /// Nurses patients.
        3 => Nurse = "nurse",
        /// Treats emergencies.
        4 => EmergencyClinician = "emergency-clinician",
        /// Registers families and acts for them while they are assisted.
        5 => Desk = "desk",
        /// Answers for data protection.
        6 => PrivacyOfficer = "privacy-officer",
        /// Checks the trail of accesses.
        7 => Auditor = "auditor",
        /// Does research.
        8 => Researcher = "researcher",
        /// Works in a laboratory.
        9 => Laboratory = "laboratory",
        /// A device that delivers measurements.
        10 => Device = "device",
        /// The subject or a guardian.
        11 => Controller = "controller",
        /// The node itself.
        12 => System = "system",
        /// Runs the machines; trusted with no data.
        13 => Operator = "operator",
        /// Decides with others which studies may ask for data.
        14 => Committee = "data-access-committee",
    }
}
