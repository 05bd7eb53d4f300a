//! What became of the parts of answers that are put together.

words! {
    /// What became of a part of an answer that is put together of several.
    Gathered {
        /// It is there.
        Good = "good",
        /// No target gave a whole answer.
        Failed = "failed",
        /// It was not there in time.
        Timeout = "timeout",
        /// It could not be asked for: its path could be read in two ways.
        Refused = "refused",
        /// It has a status that is not expected.
        Status = "status",
        /// It does not say that it is JSON, or it is compressed although nobody asked for that.
        Type = "type",
        /// It is longer than `max_body`, or all are longer than `max_total`.
        TooLarge = "too-large",
        /// There was no room for it within `limits.buffers`.
        NoRoom = "no-room",
        /// It is no JSON that all who read it read alike, or goes too deep, or has too many members.
        BadJson = "bad-json",
        /// It is to be merged, and is no object.
        NoObject = "no-object",
        /// Nobody waits for it any more: the client has left, or there is no answer without another part.
        GivenUp = "given-up",
    }
}
