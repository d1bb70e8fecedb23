//! The answer as one self-contained page: no script, nothing from elsewhere, made to be printed on A4.

use super::phrases::{self, EXPLAINED, percent};
use answer::{Answer, Candidate, Strength};

/// Contrast is at least 7 to 1; what a colour says, a word says too.
const STYLE: &str = "\
@page{size:A4;margin:9mm}\
:root{color-scheme:light}\
*{box-sizing:border-box}\
body{font:15px/1.4 Helvetica,Arial,\"Liberation Sans\",sans-serif;color:#111;background:#fff;max-width:68rem;margin:0 auto;padding:1rem}\
h1{font-size:1.35em;margin:.2em 0}\
h2{font-size:1.05em;margin:.9em 0 .2em;border-bottom:1px solid #555}\
h3{font-size:1em;margin:.4em 0 .1em}\
p{margin:.2em 0}\
.statement{border:2px solid #111;padding:.3em .6em;font-weight:600}\
.verdict{font-size:1.1em;font-weight:700;margin:.5em 0}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;vertical-align:top;padding:.1em .5em .1em 0}\
td p{overflow-wrap:anywhere}\
th[scope=row]{font-weight:600}\
thead th{border-bottom:1px solid #777;font-weight:600}\
thead th,th[scope=rowgroup],.facts th{white-space:nowrap}\
.number{white-space:nowrap}\
.bar{display:block;height:.75em;min-width:1px;background:#1b4b8f;margin-top:.3em;print-color-adjust:exact;\
-webkit-print-color-adjust:exact}\
.gauge{width:9em}\
.gauge.small{width:5em}\
.why{display:grid;grid-template-columns:repeat(auto-fit,minmax(18rem,1fr));gap:0 1.2em}\
.small,footer{font-size:.85em}\
@media print{body{font-size:7.5pt;line-height:1.2;padding:0;max-width:none}h2{margin-top:.4em}\
th,td{padding:.03em .5em .03em 0}td p{margin:0}\
.why{grid-template-columns:repeat(3,1fr)}tr,section.one{break-inside:avoid}}";

/// Lines of evidence for a candidate; against it, and of what is missing; suggestions of one way.
const FOR: usize = 3;
const AGAINST: usize = 2;
const NEXT: usize = 3;

pub(crate) fn page(answer: &Answer) -> String {
    let mut html = Html(String::new());
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    html.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    html.raw("<meta name=\"robots\" content=\"noindex\">\n");
    html.raw("<title>Differential - Ithaca</title>\n<style>");
    html.raw(STYLE);
    html.raw("</style>\n</head>\n<body>\n<main>\n");
    html.element("h1", "Differential");
    html.classed("p", "statement", answer.statement);
    html.classed("p", "verdict", &phrases::verdict(answer));
    understood(&mut html, answer);
    if !answer.candidates.is_empty() {
        candidates(&mut html, answer);
        html.element("h2", "Why");
        html.raw("<div class=\"why\">\n");
        for candidate in answer.candidates.iter().take(EXPLAINED) {
            grounds(&mut html, candidate);
        }
        html.raw("</div>\n");
    }
    let panel = phrases::panel(answer);
    if !panel.is_empty() {
        html.element(
            "h2",
            "Genes to read, by the probability that they are the cause",
        );
        html.element("p", &panel);
    }
    next(&mut html, answer);
    html.raw("</main>\n<footer>\n");
    html.element("p", &phrases::versions(answer));
    html.raw("</footer>\n</body>\n</html>\n");
    html.0
}

fn understood(html: &mut Html, answer: &Answer) {
    html.element("h2", "What was understood");
    html.raw("<table class=\"facts\">\n<tbody>\n");
    for fact in phrases::facts(answer) {
        html.raw("<tr>");
        html.row_header(&fact.title);
        html.raw("<td>");
        for line in &fact.lines {
            html.element("p", line);
        }
        html.raw("</td></tr>\n");
    }
    html.raw("</tbody>\n</table>\n");
}

fn candidates(html: &mut Html, answer: &Answer) {
    html.element("h2", "Candidates");
    html.raw("<table>\n");
    html.columns(&["Place", "Probability", "", "Disease", "Id", "Genes"]);
    html.raw("<tbody>\n");
    for candidate in &answer.candidates {
        html.raw("<tr>");
        html.element("td", &candidate.rank.to_string());
        html.classed("td", "number", &percent(candidate.probability));
        html.gauge("gauge", candidate.probability);
        html.row_header(&candidate.disease.name);
        html.classed("td", "number", &candidate.disease.id);
        html.element("td", &phrases::join(candidate.genes.iter().take(6)));
        html.raw("</tr>\n");
    }
    html.raw("<tr><td></td>");
    html.classed("td", "number", &percent(answer.others));
    html.gauge("gauge", answer.others);
    html.row_header("All others");
    html.raw("<td></td><td></td></tr>\n</tbody>\n</table>\n");
}

fn grounds(html: &mut Html, candidate: &Candidate) {
    let it = &candidate.evidence;
    html.raw("<section class=\"one\">\n");
    html.element(
        "h3",
        &format!("{}. {}", candidate.rank, candidate.disease.name),
    );
    html.raw("<table class=\"small\">\n");
    html.columns(&["Weight", "Finding", "Basis"]);
    let judged = |e: &answer::Evidence| (e.strength, e.term.label.clone(), e.ground());
    let count = it.supporting.len().to_string();
    evidence(html, "For", FOR, &count, it.supporting.iter().map(judged));
    let count = it.opposing.len().to_string();
    evidence(
        html,
        "Against",
        AGAINST,
        &count,
        it.opposing.iter().map(judged),
    );
    let missing = it.missing.iter();
    let missing = missing.map(|m| (m.strength, m.term.label.clone(), m.ground()));
    let count = phrases::missing_count(it.missing.len());
    evidence(html, "Missing", AGAINST, &count, missing);
    html.raw("</table>\n</section>\n");
}

fn evidence(
    html: &mut Html,
    title: &str,
    most: usize,
    count: &str,
    items: impl ExactSizeIterator<Item = (Strength, String, String)>,
) {
    let listed = items.len();
    if listed == 0 {
        return;
    }
    html.raw("<tbody>\n<tr><th scope=\"rowgroup\" colspan=\"3\">");
    html.text(&format!("{title}: {} of {count}", listed.min(most)));
    html.raw("</th></tr>\n");
    for (strength, finding, basis) in items.take(most) {
        html.raw("<tr>");
        html.element("td", strength.word());
        html.row_header(&finding);
        html.element("td", &basis);
        html.raw("</tr>\n");
    }
    html.raw("</tbody>\n");
}

fn next(html: &mut Html, answer: &Answer) {
    if answer.next.is_empty() {
        return;
    }
    html.element("h2", "What to look for next");
    html.raw("<table>\n");
    html.columns(&["How", "Finding", "Tells", "", "Why"]);
    html.raw("<tbody>\n");
    for (way, title) in phrases::WAYS {
        let of_way = answer.next.iter().filter(|next| next.way == way);
        for next in of_way.take(NEXT) {
            html.raw("<tr>");
            html.element("td", title);
            html.row_header(&next.term.label);
            let told = next.telling.word().trim_start_matches("tells ");
            let told = format!("{told}, {:.2} bits", next.gain_bits);
            html.classed("td", "number", &told);
            html.gauge("gauge small", next.gain_bits);
            html.element("td", &phrases::use_of(next));
            html.raw("</tr>\n");
        }
    }
    html.raw("</tbody>\n</table>\n");
}

struct Html(String);

impl Html {
    /// Markup of our own; never anything of a case.
    fn raw(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    fn text(&mut self, text: &str) {
        for c in text.chars().map(phrases::plain) {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    fn element(&mut self, tag: &'static str, text: &str) {
        self.0.extend(["<", tag, ">"]);
        self.text(text);
        self.0.extend(["</", tag, ">\n"]);
    }

    fn classed(&mut self, tag: &'static str, class: &'static str, text: &str) {
        self.0.extend(["<", tag, " class=\"", class, "\">"]);
        self.text(text);
        self.0.extend(["</", tag, ">\n"]);
    }

    fn row_header(&mut self, text: &str) {
        self.raw("<th scope=\"row\">");
        self.text(text);
        self.raw("</th>");
    }

    /// Headers of columns; one without a name belongs to that before it.
    fn columns(&mut self, names: &[&'static str]) {
        self.raw("<thead><tr>");
        for (at, name) in names.iter().enumerate() {
            if name.is_empty() {
                continue;
            }
            match names.get(at + 1) {
                Some(&"") => self.raw("<th scope=\"col\" colspan=\"2\">"),
                _ => self.raw("<th scope=\"col\">"),
            }
            self.text(name);
            self.raw("</th>");
        }
        self.raw("</tr></thead>\n");
    }

    /// A bar; the number stands beside it.
    fn gauge(&mut self, class: &'static str, fraction: f64) {
        let width = (fraction * 100.0).clamp(0.0, 100.0);
        self.0.extend([
            "<td class=\"",
            class,
            "\"><span class=\"bar\" style=\"width:",
        ]);
        self.0.push_str(&format!("{width:.1}%"));
        self.raw("\" aria-hidden=\"true\"></span></td>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut html = Html(String::new());
        html.element("p", "<script>\"a\" & 'b'</script>\x07");
        let expect = "<p>&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt; </p>\n";
        assert_eq!(html.0, expect);
    }
}
