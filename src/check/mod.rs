//! Judging what came back: regular expressions, CEL, dialogues.
