//! Units of UCUM: the usual atoms with their prefixes, products, quotients and powers.
//!
//! UCUM allows free text in braces and any number as a factor. Here only known annotations and small
//! numbers are units, so that neither holds an identifier.

/// The longest unit, in bytes.
const LONGEST: usize = 24;
/// The most factors of a unit.
const MOST_FACTORS: usize = 5;

/// Atoms that take a prefix.
const METRIC: &str = "m s g rad K C cd mol sr Hz N Pa J W A V F Ohm S Wb Cel T H lm lx Bq Gy Sv kat U L l \
    t bar u eq osm cal B Np R eV pc [iU] [IU] [CFU] [Cal]";

/// Atoms that take none.
const PLAIN: &str = "% d h min a mo wk a_j a_t mo_j deg ' '' [pH] [degF] [in_i] [ft_i] [yd_i] [mi_i] [lb_av] \
    [oz_av] [drp] [tsp_us] [tbs_us] [foz_us] [cup_us] [pt_us] [gal_us] [ppth] [ppm] [ppb] [pptr] [HPF] [LPF] \
    [arb'U] [USP'U] [GPL'U] [MPL'U] [APL'U] [todd'U] [beth'U] [tb'U] [FFU] [PFU] [MET] [diop] [psi] \
    [Ch] [pi] [in_i'Hg] 10* 10^";

/// Atoms that are followed by what they are a column of.
const COLUMNS: &str = "m[Hg] m[H2O]";

const PREFIXES: [&str; 18] = [
    "Y", "Z", "E", "P", "T", "G", "M", "k", "h", "da", "d", "c", "m", "u", "n", "p", "f", "a",
];

/// Annotations, without their braces. They say nothing to UCUM.
const ANNOTATIONS: &str = "score count Count beats Beats breaths Breaths INR cells Cells copies ratio index \
    titer Titer pack packs cigarettes tablet tablets tbl capsule puff puffs patch dose doses drop drops \
    spray application RBC RBCs rbc WBC WBCs wbc platelets creat creatinine Creat Hb hb Hgb 1.73_m2 log_copies \
    percentile nominal # events steps times year years number total tot mutation genomes pill unit units";

/// Whether a text is such a unit.
pub(crate) fn is_unit(text: &str) -> bool {
    let mut scan = Scan {
        rest: text,
        factors: 0,
    };
    (1..=LONGEST).contains(&text.len())
        && scan.term(0)
        && scan.rest.is_empty()
        && scan.factors <= MOST_FACTORS
}

/// How many years one of a unit of time lasts.
pub(crate) fn years_of(unit: &str) -> Option<f64> {
    const DAYS: f64 = 365.25;
    Some(match unit {
        "a" | "a_j" | "a_t" => 1.0,
        "mo" | "mo_j" => 1.0 / 12.0,
        "wk" => 7.0 / DAYS,
        "d" => 1.0 / DAYS,
        "h" => 1.0 / (24.0 * DAYS),
        "min" => 1.0 / (1_440.0 * DAYS),
        "s" => 1.0 / (86_400.0 * DAYS),
        _ => return None,
    })
}

struct Scan<'t> {
    rest: &'t str,
    factors: usize,
}

impl Scan<'_> {
    /// Factors with `.` or `/` between them; the first may follow a `/`. Recursion is bounded by `depth`.
    fn term(&mut self, depth: usize) -> bool {
        self.take("/");
        loop {
            if !self.factor(depth) {
                return false;
            }
            if !self.take(".") && !self.take("/") {
                return true;
            }
        }
    }

    fn factor(&mut self, depth: usize) -> bool {
        self.factors += 1;
        if depth < 2 && self.take("(") {
            return self.term(depth + 1) && self.take(")");
        }
        let number = self.digits(3);
        let annotated = match number {
            // Only `10*` and `10^` go on behind a number.
            true if self.take("*") || self.take("^") => self.exponent(),
            true => true,
            false => {
                let symbol = self.symbol();
                symbol && self.exponent()
            }
        };
        let alone = self.annotation();
        annotated || alone
    }

    /// A sign and at most two digits, or nothing.
    fn exponent(&mut self) -> bool {
        let signed = self.take("-") || self.take("+");
        self.digits(2) || !signed
    }

    fn annotation(&mut self) -> bool {
        let Some((inner, rest)) = self
            .rest
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'))
        else {
            return false;
        };
        let known = has(ANNOTATIONS, inner);
        if known {
            self.rest = rest;
        }
        known
    }

    fn symbol(&mut self) -> bool {
        let end = symbol_end(self.rest);
        let (symbol, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        let prefixed = || {
            let stems = PREFIXES.iter().filter_map(|p| symbol.strip_prefix(p));
            stems
                .into_iter()
                .any(|stem| has(METRIC, stem) || has(COLUMNS, stem))
        };
        let known = has(PLAIN, symbol) || has(METRIC, symbol) || has(COLUMNS, symbol) || prefixed();
        if known {
            self.rest = rest;
        }
        known
    }

    /// At least one digit, at most so many.
    fn digits(&mut self, most: usize) -> bool {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let fits = (1..=most).contains(&count);
        if fits {
            self.rest = self.rest.get(count..).unwrap_or_default();
        }
        fits
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.strip_prefix(sign);
        if let Some(rest) = rest {
            self.rest = rest;
        }
        rest.is_some()
    }
}

/// Where a symbol ends: before a sign, a digit or a brace that does not stand in brackets.
fn symbol_end(text: &str) -> usize {
    let mut bracketed = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' => bracketed = true,
            b']' => bracketed = false,
            b'.' | b'/' | b'(' | b')' | b'{' | b'+' | b'-' | b'0'..=b'9' if !bracketed => {
                return at;
            }
            _ => {}
        }
    }
    text.len()
}

fn has(words: &str, word: &str) -> bool {
    !word.is_empty() && words.split_ascii_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known() {
        let units = "mg/dL kg kg/m2 mm[Hg] /min {beats}/min % mmol/L 10*3/uL 10*9/L Cel [degF] mL/min/{1.73_m2} \
            {score} 1 mL U/L m[IU]/L [iU]/mL ug/kg/h mg/(24.h) cm a mo wk d h min s /[HPF] g/d fL pg \
            meq/L mosm/kg {INR} mmol/mol L/min [lb_av] [in_i] kU/L nmol/L m/s2 s-1 {#}/a {nominal}";
        for unit in units.split_ascii_whitespace() {
            assert!(is_unit(unit), "{unit}");
        }
    }

    #[test]
    fn what_could_say_more_is_no_unit() {
        let others = [
            "",
            " ",
            "{John Smith}",
            "mg{MRN-1234567}",
            "9041723586",
            "1234",
            "9041723586.m",
            "10*123456",
            "mg dL",
            "Smith",
            "m.m.m.m.m.m",
            "mg/",
            "((((m))))",
            "[unknown]",
            "kgs",
            "mg}",
            "{score",
            "mg/dL\u{e9}",
            "{score}{count}{ratio}{index}{titer}",
        ];
        for other in others {
            assert!(!is_unit(other), "{other}");
        }
    }

    #[test]
    fn times_are_known() {
        assert_eq!(years_of("a"), Some(1.0));
        assert_eq!(years_of("mo").map(|m| (m * 1080.0).round()), Some(90.0));
        assert_eq!(years_of("kg"), None);
    }
}
