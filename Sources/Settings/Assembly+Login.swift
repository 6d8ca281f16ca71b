extension Assembly {
    /// - Parameter path: of the section.
    func escalation(_ path: String) -> Configuration.Login.Escalation? {
        let factor = integer("\(path).factor")
        return factor > 1 ? .init(factor: factor, longest: interval("\(path).max")) : nil
    }
}
