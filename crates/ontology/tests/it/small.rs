//! Seven small source files that are right, to be spoilt one line at a time.

use ontology::{ImportError, Source, Sources, compile};

#[derive(Clone)]
pub(crate) struct Small {
    /// Name and content of each file, in the order of `SourceKind`.
    pub(crate) files: [(&'static str, Vec<u8>); 7],
}

const OBO: &str = r#"format-version: 1.2
data-version: hp/releases/2025-01-16

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
is_a: HP:0000001 ! All

[Term]
id: HP:0000005
name: Mode of inheritance
is_a: HP:0000001

[Term]
id: HP:0012823
name: Clinical modifier
is_a: HP:0000001

[Term]
id: HP:0003674
name: Onset
is_a: HP:0000001

[Term]
id: HP:0040279
name: Frequency
is_a: HP:0000001

[Term]
id: HP:0001250
name: Seizure
alt_id: HP:0002279
def: "A \"fit\" of the brain." [HPO:x]
synonym: "Seizures" EXACT layperson [HPO:y, "z"]
is_a: HP:0000118

[Term]
id: HP:0000006
name: obsolete Old
is_obsolete: true
replaced_by: HP:0001250

[Typedef]
id: has_part
name: has part
"#;

const HPOA: &str = "#version: 2025-01-16\n\
database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\tbiocuration\n\
OMIM:100\tFirst\t\tHP:0001250\tPMID:1;PMID:2\tPCS\tHP:0003674\t1/2\tMALE\tHP:0012823\tP\tHPO:x[2021-06-21]\n\
OMIM:100\tFirst again\tNOT\tHP:0002279\tOMIM:100\tTAS\t\t12.5%\t\t\tP\tHPO:x[2021-06-21]\n\
ORPHA:7\tSecond\t\tHP:0001250\tORPHA:7\tIEA\t\tHP:0040280\t\t\tP\tHPO:x[2021-06-21]\n";

const GENES: &str = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n\
16\tAARS1\tHP:0001250\tSeizure\t1/2\tOMIM:100\n";

const ORPHANET: &str = r#"{"orpha": "7", "label": "Second", "type": "Disease", "prev": [{"PrevalenceType": "Point prevalence", "PrevalenceQualification": "Value and class", "PrevalenceClass": "1-9 / 100 000", "ValMoy": "1.5", "PrevalenceGeographic": "Europe"}], "onset": ["Infancy"], "inh": ["Autosomal recessive"], "xref": [["OMIM", "100", "E (E"]], "genes": ["AARS1", "OTHER"], "hpo": [["HP:0001250", "Frequent (79-30%)"]], "parents": ["8"]}
"#;

const MONDO_OMIM: &str = "# mapping_set_version: x\n\
subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\n\
MONDO:0000001\tfirst\tskos:exactMatch\tOMIM:100\tfirst\tsemapv:ManualMappingCuration\n";

const MONDO_ORPHANET: &str = "# mapping_set_version: x\n\
subject_id\tsubject_label\tpredicate_id\tobject_id\tobject_label\tmapping_justification\n\
MONDO:0000001\tfirst\tskos:exactMatch\tOrphanet:7\tsecond\tsemapv:ManualMappingCuration\n";

const LOINC: &str = "loincId\tloincScale\toutcome\thpoTermId\tsupplementalTermId\tcuration\tcomment\n\
704-7\tQn\tH\tHP:0001250\t.\tHPO:x[2018-05-10]\t.\n\
704-7\tQn\tN\tHP:0001250\t.\tHPO:x[2018-05-10]\t.\n";

impl Small {
    pub(crate) fn new() -> Self {
        let file = |name, text: &str| (name, text.as_bytes().to_vec());
        Self {
            files: [
                file("hp.obo", OBO),
                file("phenotype.hpoa", HPOA),
                file("genes_to_phenotype.txt", GENES),
                file("orphanet.jsonl", ORPHANET),
                file("omim.tsv", MONDO_OMIM),
                file("orphanet.tsv", MONDO_ORPHANET),
                file("loinc.tsv", LOINC),
            ],
        }
    }

    /// With the first `from` in one file replaced.
    pub(crate) fn spoilt(file: &str, from: &str, to: &str) -> Self {
        let mut small = Self::new();
        let found = small.files.iter_mut().find(|(name, _)| *name == file);
        let bytes = &mut found.expect("a file of that name").1;
        let text = String::from_utf8(bytes.clone()).expect("text");
        assert!(text.contains(from), "{file} has no {from}");
        *bytes = text.replacen(from, to, 1).into_bytes();
        small
    }

    pub(crate) fn compile(&self) -> Result<Vec<u8>, ImportError> {
        compile(&Sources::from_fn(|kind| Source {
            name: self.files[kind as usize].0,
            version: "",
            bytes: &self.files[kind as usize].1,
        }))
    }
}
