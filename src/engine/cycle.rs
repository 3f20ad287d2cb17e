//! Answers that go round in circles: what a small model does when it is lost.

/// Longest cycle that is looked for, in tokens.
const LONGEST: usize = 12;
/// Tokens that repeat those a cycle before them, until it is one.
const REPEATED: usize = 24;
/// Times a cycle is repeated, until it is one.
const ROUNDS: usize = 3;

/// Watches the tokens of one answer.
#[derive(Clone, Debug, Default)]
pub(super) struct CycleWatch {
    /// For each length of a cycle, the tokens in a row that stood so many tokens before.
    repeated: [usize; LONGEST],
}

impl CycleWatch {
    /// Whether the last of `tokens`, which is new, ends a cycle.
    pub(super) fn push(&mut self, tokens: &[u32]) -> bool {
        let mut before = tokens.iter().rev();
        let last = before.next();
        let mut is_cycle = false;
        for (at, repeated) in self.repeated.iter_mut().enumerate() {
            *repeated = match last.is_some() && before.next() == last {
                true => *repeated + 1,
                false => 0,
            };
            is_cycle |= *repeated >= REPEATED.max(ROUNDS * (at + 1));
        }
        is_cycle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens taken until a cycle is noticed.
    fn noticed(tokens: impl IntoIterator<Item = u32>) -> Option<usize> {
        let mut watch = CycleWatch::default();
        let mut taken = Vec::new();
        for token in tokens {
            taken.push(token);
            if watch.push(&taken) {
                return Some(taken.len());
            }
        }
        None
    }

    #[test]
    fn cycles_end_an_answer_and_other_repetition_does_not() {
        assert_eq!(noticed((0..100).map(|_| 7)), Some(1 + REPEATED));
        assert_eq!(noticed((0..100).map(|at| at % 3)), Some(3 + REPEATED));
        let longest = LONGEST as u32;
        let end = LONGEST * (1 + ROUNDS);
        assert_eq!(noticed((0..100).map(|at| at % longest)), Some(end));
        assert_eq!(noticed((0..100).map(|at| at % (longest + 1))), None);
        // A list whose every third token is new.
        assert_eq!(
            noticed((0..300).map(|at| if at % 3 == 0 { at } else { at % 3 })),
            None
        );
        assert_eq!(noticed([7; REPEATED]), None);
    }
}
