//! Whatever comes in gets a clear answer.

use crate::{MARFAN, MODEL, ONTOLOGY, id, term};
use diagnosis::{
    Abstained, Findings, GeneWeight, MAX_FINDINGS, NotWeights, Note, Presentation, Refused,
    Session, Weights,
};
use ontology::Resolved;

fn read(observed: &[&str], excluded: &[&str]) -> (Findings, Vec<Note>) {
    let input = Presentation {
        observed: observed.iter().map(|t| id(t)).collect(),
        excluded: excluded.iter().map(|t| id(t)).collect(),
        ..Presentation::default()
    };
    Findings::read(&ONTOLOGY, &input).expect("findings")
}

#[test]
fn what_cannot_be_taken_is_said() {
    // Unknown; a mode of inheritance; known.
    let (findings, notes) = read(&["HP:9999999", "HP:0000006", "HP:0001250"], &[]);
    assert_eq!(findings.observed(), [term("HP:0001250")]);
    let expect = vec![
        Note::Unknown(id("HP:9999999")),
        Note::NotAFinding(id("HP:0000006")),
    ];
    assert!(notes == expect);
}

#[test]
fn obsolete_terms_are_replaced_or_left_out_and_alternatives_taken() {
    let (mut replaced, mut obsolete, mut alternative) = (0, 0, 0);
    for number in 0..20_000_u32 {
        let text = format!("HP:{number:07}");
        let hpo = id(&text);
        match ONTOLOGY.resolve(hpo) {
            Resolved::Live(_) | Resolved::Unknown => {}
            Resolved::Alternative { .. } => {
                alternative += 1;
                let (findings, notes) = read(&[&text], &[]);
                assert!(notes.is_empty() || findings.observed().is_empty());
            }
            resolved => match resolved.term() {
                Some(_) => {
                    replaced += 1;
                    let (_, notes) = read(&[&text], &[]);
                    assert!(matches!(notes[0], Note::Replaced(from, _) if from == hpo));
                }
                None => {
                    obsolete += 1;
                    let (findings, notes) = read(&[&text], &[]);
                    assert!(notes == vec![Note::Obsolete(hpo)]);
                    assert!(findings.observed().is_empty());
                }
            },
        }
    }
    assert!(replaced > 10 && obsolete > 0 && alternative > 100);
}

#[test]
fn a_contradiction_keeps_what_was_seen() {
    // Focal-onset seizure was seen; seizure is said to be absent.
    let (findings, notes) = read(&["HP:0007359"], &["HP:0001250", "HP:0000365"]);
    assert_eq!(findings.excluded(), [term("HP:0000365")]);
    assert!(notes == vec![Note::Contradiction(id("HP:0001250"))]);
}

#[test]
fn no_findings_no_suggestion() {
    for excluded in [&[][..], &["HP:0001250"][..]] {
        let (findings, _) = read(&[], excluded);
        let answer = Session::new(&MODEL, findings).differential(10);
        assert_eq!(answer.abstained, Some(Abstained::NoFindings));
        assert!(answer.candidates.is_empty() && answer.genes.is_empty());
    }
}

#[test]
fn little_is_known_little_is_suggested() {
    // Global developmental delay alone.
    let (findings, _) = read(&["HP:0001263"], &[]);
    let answer = Session::new(&MODEL, findings).differential(10);
    assert!(matches!(answer.abstained, Some(Abstained::Undecided { best }) if best < 0.1));
    assert_eq!(answer.candidates.len(), 10);
    assert!(!answer.next.is_empty());
    let (findings, _) = read(MARFAN, &[]);
    assert_eq!(
        Session::new(&MODEL, findings).differential(10).abstained,
        None
    );
}

#[test]
fn too_many_are_refused_and_the_most_are_ranked() {
    let all: Vec<_> = ONTOLOGY
        .descendants(ONTOLOGY.roots().phenotypic_abnormality)
        .iter()
        .map(|&(term, _)| ONTOLOGY.term(term).id())
        .collect();
    let many = Presentation {
        observed: all[..=MAX_FINDINGS].to_vec(),
        ..Presentation::default()
    };
    assert_eq!(
        Findings::read(&ONTOLOGY, &many).expect_err("too many"),
        Refused::TooManyFindings {
            given: MAX_FINDINGS + 1
        }
    );
    let most = Presentation {
        observed: all[..MAX_FINDINGS].to_vec(),
        excluded: all[all.len() - MAX_FINDINGS..].to_vec(),
        ..Presentation::default()
    };
    let (findings, _) = Findings::read(&ONTOLOGY, &most).expect("as many as are taken");
    let mut session = Session::new(&MODEL, findings);
    assert!(!session.rank().ranked.is_empty());
    assert!(
        session.add(term("HP:0001250")).is_err()
            || session.findings().observed().contains(&term("HP:0001250"))
    );
}

#[test]
fn genes_are_checked() {
    let gene = |symbol: &str, weight: f32| Presentation {
        observed: vec![id("HP:0001250")],
        genes: vec![GeneWeight {
            symbol: symbol.to_owned(),
            weight,
        }],
        ..Presentation::default()
    };
    for weight in [0.0, -1.0, 1.1, f32::NAN, f32::INFINITY] {
        let refused = Findings::read(&ONTOLOGY, &gene("FBN1", weight)).expect_err("a bad weight");
        assert_eq!(refused, Refused::GeneWeight { position: 0 });
    }
    let (_, notes) = Findings::read(&ONTOLOGY, &gene("NOT-A-GENE", 1.0)).expect("findings");
    assert!(notes == vec![Note::UnknownGene(0)]);
}

#[test]
fn a_tentative_finding_is_not_ranked_by() {
    let mut input = Presentation {
        observed: MARFAN.iter().map(|t| id(t)).collect(),
        ..Presentation::default()
    };
    let plain = Findings::read(&ONTOLOGY, &input).expect("findings").0;
    // Hypoglycemia, from one result.
    input.tentative = vec![id("HP:0001943")];
    let with = Findings::read(&ONTOLOGY, &input).expect("findings").0;
    assert_eq!(with.tentative(), [term("HP:0001943")]);
    assert_eq!(
        Session::new(&MODEL, plain).rank(),
        Session::new(&MODEL, with).rank()
    );
}

#[test]
fn weights_that_reward_exclusions_are_refused() {
    let shipped = Weights::shipped().expect("weights").write().expect("bytes");
    assert_eq!(
        Weights::read(&shipped).expect("weights"),
        Weights::shipped().expect("weights")
    );
    let mut value: serde_json::Value = serde_json::from_slice(&shipped).expect("JSON");
    let list = value["full"]["weights"].as_array_mut().expect("weights");
    let excluded = list
        .iter_mut()
        .find(|w| w[0] == "excluded")
        .expect("the feature");
    excluded[1] = serde_json::json!(-0.2);
    let bytes = serde_json::to_vec(&value).expect("bytes");
    assert!(matches!(
        Weights::read(&bytes),
        Err(NotWeights::Feature { feature }) if feature == "excluded"
    ));
    assert!(matches!(
        Weights::read(b"{}"),
        Err(NotWeights::Malformed(_))
    ));
}
