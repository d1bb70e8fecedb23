//! The form of codes, by hand: each check reads its text once.

use super::ucum::is_unit;

/// The form that the codes of a terminology have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Loinc,
    Snomed,
    Ucum,
    /// An OBO ontology: seven digits after this prefix.
    Obo(&'static str),
    Omim,
    Orpha,
    Icd10,
    Icd9,
    RxNorm,
    Atc,
    Cvx,
    Hgnc,
    Ncit,
    /// Only *Homo sapiens*.
    NcbiTaxon,
}

const NAMED: &[(&str, Form)] = &[
    ("loinc", Form::Loinc),
    ("snomed", Form::Snomed),
    ("ucum", Form::Ucum),
    ("HP", Form::Obo("HP")),
    ("MONDO", Form::Obo("MONDO")),
    ("UBERON", Form::Obo("UBERON")),
    ("GENO", Form::Obo("GENO")),
    ("ECO", Form::Obo("ECO")),
    ("SO", Form::Obo("SO")),
    ("omim", Form::Omim),
    ("orpha", Form::Orpha),
    ("icd10", Form::Icd10),
    ("icd9", Form::Icd9),
    ("rxnorm", Form::RxNorm),
    ("atc", Form::Atc),
    ("cvx", Form::Cvx),
    ("hgnc", Form::Hgnc),
    ("ncit", Form::Ncit),
    ("ncbitaxon", Form::NcbiTaxon),
];

impl Form {
    /// The form of this name in a rule file.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = NAMED.iter().find(|(own, _)| *own == name);
        found.map(|(_, form)| *form)
    }

    /// Whether a code of FHIR has the form.
    pub(crate) fn fits(self, code: &str) -> bool {
        let prefix = match self {
            Self::Obo(prefix) => {
                let local = code.strip_prefix(prefix).and_then(|c| c.strip_prefix(':'));
                return local.is_some_and(|local| self.fits_local(local));
            }
            Self::Orpha => "ORPHA:",
            Self::Hgnc => "HGNC:",
            _ => "",
        };
        self.fits_local(code.strip_prefix(prefix).unwrap_or(code))
    }

    /// Whether what follows the prefix of a CURIE has the form.
    pub(crate) fn fits_local(self, code: &str) -> bool {
        let bytes = code.as_bytes();
        match self {
            Self::Loinc => is_loinc(bytes),
            Self::Snomed => is_snomed(bytes),
            Self::Ucum => is_unit(code),
            Self::Obo(_) => bytes.len() == 7 && digits(bytes),
            Self::Omim => {
                bytes.len() == 6 && digits(bytes) && matches!(bytes.first(), Some(b'1'..=b'6'))
            }
            Self::Orpha => number(bytes, 6),
            Self::Icd10 => is_icd10(bytes),
            Self::Icd9 => is_icd9(bytes),
            Self::RxNorm => number(bytes, 7),
            Self::Atc => is_atc(bytes),
            Self::Cvx => (1..=3).contains(&bytes.len()) && digits(bytes),
            Self::Hgnc => number(bytes, 5),
            Self::Ncit => matches!(bytes, [b'C', rest @ ..] if number(rest, 6)),
            Self::NcbiTaxon => code == "9606",
        }
    }
}

fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

/// A number without leading zeros, of at most so many digits.
fn number(bytes: &[u8], most: usize) -> bool {
    (1..=most).contains(&bytes.len()) && digits(bytes) && bytes.first() != Some(&b'0')
}

/// `1234-5`, or an answer (`LA`) or part (`LP`): at most six digits and the check digit of modulus 10.
fn is_loinc(bytes: &[u8]) -> bool {
    let [body @ .., b'-', check @ b'0'..=b'9'] = bytes else {
        return false;
    };
    let plain = body
        .strip_prefix(b"LA")
        .or_else(|| body.strip_prefix(b"LP"));
    number(plain.unwrap_or(body), 6) && luhn(body) == check - b'0'
}

/// The check digit of modulus 10 (Luhn) for digits and letters, each letter by its distance from `0`.
fn luhn(body: &[u8]) -> u8 {
    let weigh = |(place, sign): (usize, &u8)| {
        let value = u32::from(sign - b'0');
        match place.is_multiple_of(2) {
            true => value * 2 / 10 + value * 2 % 10,
            false => value,
        }
    };
    let sum: u32 = body.iter().rev().enumerate().map(weigh).sum();
    u8::try_from((10 - sum % 10) % 10).unwrap_or(0)
}

/// The id of a concept: 6 to 18 digits, partition 00 or 10, Verhoeff's check digit.
fn is_snomed(bytes: &[u8]) -> bool {
    let [.., b'0' | b'1', b'0', _] = bytes else {
        return false;
    };
    (6..=18).contains(&bytes.len()) && number(bytes, 18) && verhoeff(bytes) == 0
}

/// Verhoeff's check over digits with their check digit; 0 when it holds.
fn verhoeff(bytes: &[u8]) -> u8 {
    const TIMES: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const PERMUTED: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let step = |check: u8, (place, digit): (usize, &u8)| {
        let row = PERMUTED.get(place % 8);
        let digit = row.and_then(|row| row.get(usize::from(digit - b'0')));
        let row = TIMES.get(usize::from(check));
        *row.zip(digit)
            .and_then(|(row, digit)| row.get(usize::from(*digit)))
            .unwrap_or(&1)
    };
    bytes.iter().rev().enumerate().fold(0, step)
}

/// A letter, a digit, a digit or letter, and after a point up to four digits or letters.
fn is_icd10(bytes: &[u8]) -> bool {
    let upper = |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let [b'A'..=b'Z', b'0'..=b'9', third, rest @ ..] = bytes else {
        return false;
    };
    let detail = match rest {
        [] => true,
        [b'.', detail @ ..] => (1..=4).contains(&detail.len()) && detail.iter().all(upper),
        _ => false,
    };
    upper(third) && detail
}

/// `123`, `V12` or `E123`, and after a point one or two digits.
fn is_icd9(bytes: &[u8]) -> bool {
    let split = bytes.iter().position(|byte| *byte == b'.');
    let (category, detail) = match split {
        Some(at) => (
            bytes.get(..at).unwrap_or_default(),
            bytes.get(at + 1..).unwrap_or_default(),
        ),
        None => (bytes, &b"0"[..]),
    };
    let category = match category {
        [b'V', rest @ ..] => rest.len() == 2 && digits(rest),
        [b'E', rest @ ..] => rest.len() == 3 && digits(rest),
        other => other.len() == 3 && digits(other),
    };
    category && (1..=2).contains(&detail.len()) && digits(detail)
}

/// `A`, `A10`, `A10B`, `A10BA` or `A10BA02`.
fn is_atc(bytes: &[u8]) -> bool {
    let fits = |(place, byte): (usize, &u8)| match place {
        0 => b"ABCDGHJLMNPRSV".contains(byte),
        1 | 2 | 5 | 6 => byte.is_ascii_digit(),
        _ => byte.is_ascii_uppercase(),
    };
    matches!(bytes.len(), 1 | 3 | 4 | 5 | 7) && bytes.iter().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str, good: &[&str], bad: &[&str]) {
        let form = Form::named(form).unwrap();
        for code in good {
            assert!(form.fits(code), "{form:?} {code}");
        }
        for code in bad {
            assert!(!form.fits(code), "{form:?} {code}");
        }
    }

    #[test]
    fn check_digits_are_checked() {
        let good = [
            "2951-2",
            "8302-2",
            "85354-9",
            "1-8",
            "LA6576-8",
            "LA15920-4",
            "LP14885-5",
            "72166-2",
            "100000-9",
        ];
        let bad = [
            "2951-3",
            "29512",
            "2951-",
            "-2",
            "02951-2",
            "1234567-4",
            "LA6576-9",
            "2951-2 ",
        ];
        check("loinc", &good, &bad);
        let good = [
            "404684003",
            "22298006",
            "73211009",
            "900000000000207008",
            "428191000124101",
        ];
        // A wrong check digit; a description; a number of the right length; text.
        let bad = [
            "404684004",
            "2551000015",
            "9041723586",
            "73211009a",
            "12345",
            "0404684003",
        ];
        check("snomed", &good, &bad);
    }

    #[test]
    fn every_form_has_an_end() {
        check(
            "HP",
            &["HP:0001250"],
            &["0001250", "HP:001250", "HP:00012501", "MP:0001250"],
        );
        check(
            "omim",
            &["154700", "612345"],
            &["9154700", "054700", "15470", "15470a"],
        );
        check(
            "orpha",
            &["558", "ORPHA:558"],
            &["", "ORPHA:", "1234567", "0558"],
        );
        check(
            "icd10",
            &["E11", "E11.9", "S72.001A", "M1A.0"],
            &["E1", "E11.", "E11.12345", "e11"],
        );
        check(
            "icd9",
            &["250", "250.00", "V10.1", "E812.0"],
            &["2500", "250.001", "X10", "25"],
        );
        check("rxnorm", &["313782"], &["0313782", "12345678", "31378a"]);
        check(
            "atc",
            &["A10BA02", "A10", "C"],
            &["E10BA02", "A10BA2", "A10BA021", "a10"],
        );
        check("cvx", &["08", "140"], &["", "1400", "a8"]);
        check("hgnc", &["HGNC:1100", "1100"], &["HGNC:", "110000", "01"]);
        check("ncit", &["C12345"], &["12345", "C", "C1234567"]);
        check("ncbitaxon", &["9606"], &["9605", "10090", ""]);
    }
}
