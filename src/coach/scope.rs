//! What the coach does not talk about: stock tips, legal and medical advice, evading tax; and
//! messages of people who may harm themselves, who need other help first.
//!
//! Decided by phrases in the message, in English, before a model sees it. The phrases ask for
//! advice, not for knowledge: "should I buy Tesla shares?" is refused, "what is a share?" is not.

mod phrases;

use std::sync::LazyLock;

use regex::{Regex, RegexSet};
use serde::Serialize;

/// Why a message gets a refusal instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutOfScope {
    /// The writer may be in danger. Comes before everything else.
    SelfHarm,
    /// Symptoms, medicines, treatments.
    Medical,
    /// What a lawyer would be asked.
    Legal,
    /// Hiding income or lying to a tax office.
    TaxEvasion,
    /// Whether to buy or sell a certain share or coin, or where its price will go.
    StockTip,
}

impl OutOfScope {
    /// All, in the order in which they are looked for.
    pub const ALL: [Self; 5] = [
        Self::SelfHarm,
        Self::Medical,
        Self::Legal,
        Self::TaxEvasion,
        Self::StockTip,
    ];

    /// A short, kind answer with somewhere to turn to.
    pub fn refusal(self) -> &'static str {
        match self {
            Self::SelfHarm => {
                "I am really sorry that it is this hard right now. You matter more than any money \
                 problem, and you do not have to carry this alone. If you might act on these \
                 thoughts, please call your local emergency number now. You can reach people who \
                 listen, at any hour: in the US and Canada call or text 988, in the UK and Ireland \
                 call Samaritans on 116 123, elsewhere findahelpline.com lists free lines by \
                 country. Please tell someone near you today, too. When you feel safer, I am glad \
                 to go through the money side with you, one small step at a time."
            }
            Self::Medical => {
                "That is a question about health, and I could do harm by guessing. Please ask a \
                 doctor or a pharmacist; if it feels urgent, call your local emergency number or \
                 medical helpline. I can help with the money around it: health insurance, sick pay \
                 or a plan for medical bills."
            }
            Self::Legal => {
                "I cannot advise on legal questions: the answer depends on your country and on \
                 details that a lawyer has to see. A legal aid office, a consumer or tenant \
                 association, a union or your bar association's referral service can help, often at \
                 low cost. I can help with the money around it, such as costs, savings or a payment \
                 plan."
            }
            Self::TaxEvasion => {
                "I cannot help with hiding income or with wrong statements to a tax office. If \
                 something was left out in the past, a tax adviser can explain how to correct it, \
                 which is nearly always cheaper before anyone asks. I am glad to explain legal ways \
                 to pay less: allowances, deductions, and accounts for retirement."
            }
            Self::StockTip => {
                "I do not recommend single shares or coins or predict their prices; nobody can do \
                 that reliably, and I do not know your whole situation. For personal advice, look \
                 for an adviser listed in your regulator's register. I can explain how to judge \
                 risk and costs, how diversification works, or how people decide how much to hold \
                 in shares at all."
            }
        }
    }

    fn phrases(self) -> &'static [&'static str] {
        match self {
            Self::SelfHarm => phrases::SELF_HARM,
            Self::Medical => phrases::MEDICAL,
            Self::Legal => phrases::LEGAL,
            Self::TaxEvasion => phrases::TAX_EVASION,
            Self::StockTip => phrases::STOCK_TIP,
        }
    }
}

/// Why `message` should be refused, or `None` if it may be answered.
pub fn out_of_scope(message: &str) -> Option<OutOfScope> {
    static HARMLESS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(&phrases::HARMLESS.join("|")).expect("a test compiles it"));
    static RULES: LazyLock<Vec<(OutOfScope, RegexSet)>> = LazyLock::new(|| {
        let set = |reason: OutOfScope| {
            let patterns = reason.phrases().iter().map(|phrase| phrases::fill(phrase));
            RegexSet::new(patterns).expect("a test compiles it")
        };
        OutOfScope::ALL.map(|reason| (reason, set(reason))).into()
    });
    let plain = plain(message);
    let text = HARMLESS.replace_all(&plain, " ");
    let found = RULES.iter().find(|(_, rules)| rules.is_match(&text));
    found.map(|(reason, _)| *reason)
}

/// Lower case, plain quotes, single spaces, no invisible characters.
fn plain(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for c in message.chars().flat_map(char::to_lowercase) {
        match c {
            '’' | '‘' | '´' | '`' => out.push('\''),
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            '–' | '—' | '‑' => out.push('-'),
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
