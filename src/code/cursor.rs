//! Cursors as browsers count them: in UTF-16 units.

/// Why a cursor is nowhere in its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Behind the end.
    #[error("must be from 0 to {length}, the length of the code in UTF-16 units")]
    Outside {
        /// Length of the code in UTF-16 units.
        length: usize,
    },
    /// Between the two units of one character.
    #[error("must not be inside a character: it splits a surrogate pair")]
    InsideCharacter,
}

/// The code before and after the cursor, which counts UTF-16 units.
pub fn split_at(code: &str, cursor: usize) -> Result<(&str, &str), CursorError> {
    let mut units = 0;
    for (at, char) in code.char_indices() {
        if units == cursor {
            return Ok(code.split_at(at));
        }
        units += char.len_utf16();
        if units > cursor {
            return Err(CursorError::InsideCharacter);
        }
    }
    match units == cursor {
        true => Ok((code, "")),
        false => Err(CursorError::Outside { length: units }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_counted_as_browsers_do() {
        let code = "aé😀b";
        assert_eq!(split_at(code, 0), Ok(("", code)));
        assert_eq!(split_at(code, 2), Ok(("aé", "😀b")));
        assert_eq!(split_at(code, 3), Err(CursorError::InsideCharacter));
        assert_eq!(split_at(code, 4), Ok(("aé😀", "b")));
        assert_eq!(split_at(code, 5), Ok((code, "")));
        assert_eq!(split_at(code, 6), Err(CursorError::Outside { length: 5 }));
        assert_eq!(split_at("", 0), Ok(("", "")));
    }

    proptest! {
        #[test]
        fn both_parts_are_the_whole(code: String, cursor in 0_usize..40) {
            let units: Vec<u16> = code.encode_utf16().collect();
            let want = units
                .get(..cursor)
                .and_then(|before| String::from_utf16(before).ok());
            match split_at(&code, cursor) {
                Ok((before, after)) => {
                    prop_assert_eq!(Some(before), want.as_deref());
                    prop_assert_eq!(format!("{before}{after}"), code);
                }
                Err(_) => prop_assert_eq!(want, None),
            }
        }
    }
}
