//! The path table: the schema's messages, with the category of every field.
//!
//! Source: phenopacket-schema 2.0.2 (`phenopackets/schema/v2`, `vrsatile/v1`, `vrs/v1`).
//!
//! | category | what |
//! |---|---|
//! | identity | ids, free text (`description`, `summary`, comments), dates of the person's life, gender, publications and authors, extensions, everything unknown |
//! | phenotype | sex, age at the last encounter, vital status, findings, diseases, medical actions, resources and schema version |
//! | genomic | karyotypic sex, genes and variants of interpretations, with their status |
//! | laboratory | measurements and biosamples |
//! | vitals | measurements whose assay is a vital sign |
//! | documents | files |
//!
//! What changes the meaning of a term (`excluded`, severity, modifiers) is in the term's category,
//! so that no projection shows one without the other.

use crate::fields::{Message, Role, choice, flag, message, number, one, open, text};
use codec::Category::{Documents, Genomic, Identity, Laboratory, Phenotype};

pub(crate) static PHENOPACKET: Message = message(&[
    text("id").to(Identity),
    one("subject", &INDIVIDUAL).to(Identity),
    one("phenotypicFeatures", &FINDING).list().to(Phenotype),
    one("measurements", &MEASUREMENT).list().to(Laboratory),
    one("biosamples", &BIOSAMPLE).list().to(Laboratory),
    one("interpretations", &INTERPRETATION).list().to(Identity),
    one("diseases", &DISEASE).list().to(Phenotype),
    one("medicalActions", &MEDICAL_ACTION).list().to(Phenotype),
    one("files", &FILE).list().to(Documents),
    one("metaData", &META_DATA).to(Identity),
]);

static INDIVIDUAL: Message = message(&[
    text("id"),
    text("alternateIds").list(),
    text("dateOfBirth"),
    one("timeAtLastEncounter", &TIME_OF_LIFE).to(Phenotype),
    one("vitalStatus", &VITAL_STATUS).to(Phenotype),
    choice("sex", SEX).to(Phenotype),
    choice("karyotypicSex", KARYOTYPIC_SEX).to(Genomic),
    one("gender", &ONTOLOGY_CLASS),
    one("taxonomy", &ONTOLOGY_CLASS).to(Phenotype),
]);

static VITAL_STATUS: Message = message(&[
    choice("status", &["UNKNOWN_STATUS", "ALIVE", "DECEASED"]),
    one("timeOfDeath", &TIME_OF_LIFE),
    one("causeOfDeath", &ONTOLOGY_CLASS),
    number("survivalTimeInDays"),
]);

/// A time of the person's own life: an age may be shown, a calendar date identifies.
static TIME_OF_LIFE: Message = message(&[
    one("gestationalAge", &GESTATIONAL_AGE),
    one("age", &AGE),
    one("ageRange", &AGE_RANGE),
    one("ontologyClass", &ONTOLOGY_CLASS),
    text("timestamp").to(Identity),
    one("interval", &TIME_INTERVAL).to(Identity),
]);

static TIME: Message = message(&[
    one("gestationalAge", &GESTATIONAL_AGE),
    one("age", &AGE),
    one("ageRange", &AGE_RANGE),
    one("ontologyClass", &ONTOLOGY_CLASS),
    text("timestamp"),
    one("interval", &TIME_INTERVAL),
]);

static GESTATIONAL_AGE: Message = message(&[number("weeks"), number("days")]);
static AGE: Message = message(&[text("iso8601duration")]);
static AGE_RANGE: Message = message(&[one("start", &AGE), one("end", &AGE)]);
static TIME_INTERVAL: Message = message(&[text("start"), text("end")]);
static ONTOLOGY_CLASS: Message = message(&[text("id"), text("label")]);

static EXTERNAL_REFERENCE: Message = message(&[text("id"), text("reference"), text("description")]);

static FINDING: Message = message(&[
    text("description").to(Identity),
    one("type", &ONTOLOGY_CLASS),
    flag("excluded"),
    one("severity", &ONTOLOGY_CLASS),
    one("modifiers", &ONTOLOGY_CLASS).list(),
    one("onset", &TIME),
    one("resolution", &TIME),
    one("evidence", &EVIDENCE).list(),
])
.role(Role::Finding);

static EVIDENCE: Message = message(&[
    one("evidenceCode", &ONTOLOGY_CLASS),
    one("reference", &EXTERNAL_REFERENCE).to(Identity),
]);

static MEASUREMENT: Message = message(&[
    text("description").to(Identity),
    one("assay", &ONTOLOGY_CLASS),
    one("value", &VALUE),
    one("complexValue", &COMPLEX_VALUE),
    one("timeObserved", &TIME),
    one("procedure", &PROCEDURE),
])
.role(Role::Measurement);

static VALUE: Message = message(&[
    one("quantity", &QUANTITY),
    one("ontologyClass", &ONTOLOGY_CLASS),
]);

static COMPLEX_VALUE: Message = message(&[one("typedQuantities", &TYPED_QUANTITY).list()]);

static TYPED_QUANTITY: Message =
    message(&[one("type", &ONTOLOGY_CLASS), one("quantity", &QUANTITY)]);

static QUANTITY: Message = message(&[
    one("unit", &ONTOLOGY_CLASS),
    number("value"),
    one("referenceRange", &REFERENCE_RANGE),
]);

static REFERENCE_RANGE: Message =
    message(&[one("unit", &ONTOLOGY_CLASS), number("low"), number("high")]);

static PROCEDURE: Message = message(&[
    one("code", &ONTOLOGY_CLASS),
    one("bodySite", &ONTOLOGY_CLASS),
    one("performed", &TIME),
]);

static BIOSAMPLE: Message = message(&[
    text("id").to(Identity),
    text("individualId").to(Identity),
    text("derivedFromId").to(Identity),
    text("description").to(Identity),
    one("sampledTissue", &ONTOLOGY_CLASS),
    one("sampleType", &ONTOLOGY_CLASS),
    one("phenotypicFeatures", &FINDING).list().to(Phenotype),
    one("measurements", &MEASUREMENT).list(),
    one("taxonomy", &ONTOLOGY_CLASS),
    one("timeOfCollection", &TIME),
    one("histologicalDiagnosis", &ONTOLOGY_CLASS),
    one("tumorProgression", &ONTOLOGY_CLASS),
    one("tumorGrade", &ONTOLOGY_CLASS),
    one("pathologicalStage", &ONTOLOGY_CLASS),
    one("pathologicalTnmFinding", &ONTOLOGY_CLASS).list(),
    one("diagnosticMarkers", &ONTOLOGY_CLASS).list(),
    one("procedure", &PROCEDURE),
    one("files", &FILE).list().to(Documents),
    one("materialSample", &ONTOLOGY_CLASS),
    one("sampleProcessing", &ONTOLOGY_CLASS),
    one("sampleStorage", &ONTOLOGY_CLASS),
]);

static INTERPRETATION: Message = message(&[
    text("id"),
    choice("progressStatus", PROGRESS).to(Phenotype),
    one("diagnosis", &DIAGNOSIS).to(Phenotype),
    text("summary"),
]);

static DIAGNOSIS: Message = message(&[
    one("disease", &ONTOLOGY_CLASS),
    one("genomicInterpretations", &GENOMIC_INTERPRETATION)
        .list()
        .to(Genomic),
]);

static GENOMIC_INTERPRETATION: Message = message(&[
    text("subjectOrBiosampleId").to(Identity),
    choice("interpretationStatus", INTERPRETATION_STATUS),
    one("gene", &GENE),
    one("variantInterpretation", &VARIANT_INTERPRETATION),
]);

static VARIANT_INTERPRETATION: Message = message(&[
    choice("acmgPathogenicityClassification", PATHOGENICITY),
    choice("therapeuticActionability", ACTIONABILITY),
    one("variationDescriptor", &VARIATION_DESCRIPTOR),
]);

static VARIATION_DESCRIPTOR: Message = message(&[
    text("id"),
    open("variation", VRS),
    text("label"),
    text("description").to(Identity),
    one("geneContext", &GENE),
    one("expressions", &EXPRESSION).list(),
    one("vcfRecord", &VCF_RECORD),
    text("xrefs").list(),
    text("alternateLabels").list(),
    one("extensions", &EXTENSION).list().to(Identity),
    choice("moleculeContext", MOLECULE_CONTEXT),
    one("structuralType", &ONTOLOGY_CLASS),
    text("vrsRefAlleleSeq"),
    one("allelicState", &ONTOLOGY_CLASS),
]);

static GENE: Message = message(&[
    text("valueId"),
    text("symbol"),
    text("description").to(Identity),
    text("alternateIds").list(),
    text("alternateSymbols").list(),
    text("xrefs").list(),
]);

static EXPRESSION: Message = message(&[text("syntax"), text("value"), text("version")]);
static EXTENSION: Message = message(&[text("name")]);

static VCF_RECORD: Message = message(&[
    text("genomeAssembly"),
    text("chrom"),
    number("pos"),
    text("id"),
    text("ref"),
    text("alt"),
    text("qual"),
    text("filter"),
    text("info"),
]);

static DISEASE: Message = message(&[
    one("term", &ONTOLOGY_CLASS),
    flag("excluded"),
    one("onset", &TIME),
    one("resolution", &TIME),
    one("diseaseStage", &ONTOLOGY_CLASS).list(),
    one("clinicalTnmFinding", &ONTOLOGY_CLASS).list(),
    one("primarySite", &ONTOLOGY_CLASS),
    one("laterality", &ONTOLOGY_CLASS),
]);

static MEDICAL_ACTION: Message = message(&[
    one("procedure", &PROCEDURE),
    one("treatment", &TREATMENT),
    one("radiationTherapy", &RADIATION_THERAPY),
    one("therapeuticRegimen", &THERAPEUTIC_REGIMEN),
    one("treatmentTarget", &ONTOLOGY_CLASS),
    one("treatmentIntent", &ONTOLOGY_CLASS),
    one("responseToTreatment", &ONTOLOGY_CLASS),
    one("adverseEvents", &ONTOLOGY_CLASS).list(),
    one("treatmentTerminationReason", &ONTOLOGY_CLASS),
]);

static TREATMENT: Message = message(&[
    one("agent", &ONTOLOGY_CLASS),
    one("routeOfAdministration", &ONTOLOGY_CLASS),
    one("doseIntervals", &DOSE_INTERVAL).list(),
    choice("drugType", DRUG_TYPE),
    one("cumulativeDose", &QUANTITY),
]);

static DOSE_INTERVAL: Message = message(&[
    one("quantity", &QUANTITY),
    one("scheduleFrequency", &ONTOLOGY_CLASS),
    one("interval", &TIME_INTERVAL),
]);

static RADIATION_THERAPY: Message = message(&[
    one("modality", &ONTOLOGY_CLASS),
    one("bodySite", &ONTOLOGY_CLASS),
    number("dosage"),
    number("fractions"),
]);

static THERAPEUTIC_REGIMEN: Message = message(&[
    one("externalReference", &EXTERNAL_REFERENCE).to(Identity),
    one("ontologyClass", &ONTOLOGY_CLASS),
    one("startTime", &TIME),
    one("endTime", &TIME),
    choice("regimenStatus", REGIMEN_STATUS),
]);

static FILE: Message = message(&[
    text("uri"),
    open("individualToFileIdentifiers", &[]).to(Identity),
    open("fileAttributes", &["fileFormat", "genomeAssembly"]),
]);

static META_DATA: Message = message(&[
    text("created"),
    text("createdBy"),
    text("submittedBy"),
    one("resources", &RESOURCE).list().to(Phenotype),
    one("updates", &UPDATE).list(),
    text("phenopacketSchemaVersion").to(Phenotype),
    one("externalReferences", &EXTERNAL_REFERENCE).list(),
]);

static RESOURCE: Message = message(&[
    text("id"),
    text("name"),
    text("url"),
    text("version"),
    text("namespacePrefix"),
    text("iriPrefix"),
]);

static UPDATE: Message = message(&[text("timestamp"), text("updatedBy"), text("comment")]);

/// Every message of the table, with its name in the schema.
pub(crate) static MESSAGES: &[(&str, &Message)] = &[
    ("Phenopacket", &PHENOPACKET),
    ("Individual", &INDIVIDUAL),
    ("VitalStatus", &VITAL_STATUS),
    ("TimeElement", &TIME),
    ("TimeElement", &TIME_OF_LIFE),
    ("GestationalAge", &GESTATIONAL_AGE),
    ("Age", &AGE),
    ("AgeRange", &AGE_RANGE),
    ("TimeInterval", &TIME_INTERVAL),
    ("OntologyClass", &ONTOLOGY_CLASS),
    ("ExternalReference", &EXTERNAL_REFERENCE),
    ("PhenotypicFeature", &FINDING),
    ("Evidence", &EVIDENCE),
    ("Measurement", &MEASUREMENT),
    ("Value", &VALUE),
    ("ComplexValue", &COMPLEX_VALUE),
    ("TypedQuantity", &TYPED_QUANTITY),
    ("Quantity", &QUANTITY),
    ("ReferenceRange", &REFERENCE_RANGE),
    ("Procedure", &PROCEDURE),
    ("Biosample", &BIOSAMPLE),
    ("Interpretation", &INTERPRETATION),
    ("Diagnosis", &DIAGNOSIS),
    ("GenomicInterpretation", &GENOMIC_INTERPRETATION),
    ("VariantInterpretation", &VARIANT_INTERPRETATION),
    ("VariationDescriptor", &VARIATION_DESCRIPTOR),
    ("GeneDescriptor", &GENE),
    ("Expression", &EXPRESSION),
    ("Extension", &EXTENSION),
    ("VcfRecord", &VCF_RECORD),
    ("Disease", &DISEASE),
    ("MedicalAction", &MEDICAL_ACTION),
    ("Treatment", &TREATMENT),
    ("DoseInterval", &DOSE_INTERVAL),
    ("RadiationTherapy", &RADIATION_THERAPY),
    ("TherapeuticRegimen", &THERAPEUTIC_REGIMEN),
    ("File", &FILE),
    ("MetaData", &META_DATA),
    ("Resource", &RESOURCE),
    ("Update", &UPDATE),
];

pub(crate) const SEX: &[&str] = &["UNKNOWN_SEX", "FEMALE", "MALE", "OTHER_SEX"];

const KARYOTYPIC_SEX: &[&str] = &[
    "UNKNOWN_KARYOTYPE",
    "XX",
    "XY",
    "XO",
    "XXY",
    "XXX",
    "XXYY",
    "XXXY",
    "XXXX",
    "XYY",
    "OTHER_KARYOTYPE",
];

pub(crate) const PROGRESS: &[&str] = &[
    "UNKNOWN_PROGRESS",
    "IN_PROGRESS",
    "COMPLETED",
    "SOLVED",
    "UNSOLVED",
];

pub(crate) const INTERPRETATION_STATUS: &[&str] = &[
    "UNKNOWN_STATUS",
    "REJECTED",
    "CANDIDATE",
    "CONTRIBUTORY",
    "CAUSATIVE",
];

pub(crate) const PATHOGENICITY: &[&str] = &[
    "NOT_PROVIDED",
    "BENIGN",
    "LIKELY_BENIGN",
    "UNCERTAIN_SIGNIFICANCE",
    "LIKELY_PATHOGENIC",
    "PATHOGENIC",
];

const ACTIONABILITY: &[&str] = &["UNKNOWN_ACTIONABILITY", "NOT_ACTIONABLE", "ACTIONABLE"];

const MOLECULE_CONTEXT: &[&str] = &[
    "unspecified_molecule_context",
    "genomic",
    "transcript",
    "protein",
];

const DRUG_TYPE: &[&str] = &[
    "UNKNOWN_DRUG_TYPE",
    "PRESCRIPTION",
    "EHR_MEDICATION_LIST",
    "ADMINISTRATION_RELATED_TO_PROCEDURE",
];

const REGIMEN_STATUS: &[&str] = &["UNKNOWN_STATUS", "STARTED", "COMPLETED", "DISCONTINUED"];

/// The names of GA4GH VRS 1.x, in camelCase; its structures may stand inside each other freely.
pub(crate) const VRS: &[&str] = &[
    "_id",
    "abundance",
    "allele",
    "chr",
    "chromosomeLocation",
    "comparator",
    "copies",
    "copyNumber",
    "count",
    "curie",
    "definiteRange",
    "definition",
    "derivedSequenceExpression",
    "end",
    "endDefiniteRange",
    "endIndefiniteRange",
    "endNumber",
    "gene",
    "geneId",
    "haplotype",
    "indefiniteRange",
    "interval",
    "literalSequenceExpression",
    "location",
    "max",
    "members",
    "min",
    "number",
    "repeatedSequenceExpression",
    "reverseComplement",
    "sequence",
    "sequenceId",
    "sequenceInterval",
    "sequenceLocation",
    "sequenceState",
    "simpleInterval",
    "speciesId",
    "start",
    "startDefiniteRange",
    "startIndefiniteRange",
    "startNumber",
    "state",
    "text",
    "type",
    "value",
    "variationSet",
];

/// The LOINC codes of the FHIR R4 vital signs profiles, and of oxygen saturation by pulse oximetry.
pub(crate) const VITAL_SIGNS: &[&str] = &[
    "85353-1", "9279-1", "8867-4", "2708-6", "59408-5", "8310-5", "8302-2", "9843-4", "29463-7",
    "39156-5", "85354-9", "8480-6", "8462-4",
];
