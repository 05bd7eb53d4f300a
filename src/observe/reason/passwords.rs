//! What comes of looking at passwords.

words! {
    /// What came of looking whether a password fits.
    PasswordCheck {
        /// It does.
        Fits = "fits",
        /// It does not.
        Wrong = "wrong",
        /// There was no room for it to wait.
        Busy = "busy",
        /// It waited too long to be looked at.
        Late = "late",
    }
}
