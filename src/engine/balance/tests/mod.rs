//! Scripts of (time, event) and what they must bring about.
