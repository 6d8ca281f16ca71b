internal import Settings
internal import Wire

/// Some of the rules for failed logins, a bit each: those that a request is for, or by which its answer is a failure.
package struct LoginRows: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Written out, as `isEmpty`: those of `OptionSet` are generic, and would cost every request hundreds of instructions.
    package init() { rawValue = 0 }
    package var isEmpty: Bool { rawValue == 0 }

    /// The rule of the plain settings. The others follow in the order of `login.rules`.
    package static let plain = LoginRows(rawValue: 1)
    static func row(_ index: Int) -> LoginRows { LoginRows(rawValue: 2 << UInt64(index)) }
}

/// By what the answers of backends say that something failed, rule by rule.
struct LoginFailures: Sendable {
    private struct Sign: Sendable {
        let row: LoginRows
        let statuses: [Int]
        /// In lower case, and what it says; nil: the status alone tells.
        let field: (name: [UInt8], value: [UInt8])?
        /// What the body may say; nil: it is not looked at.
        let member: AnswerMember?
    }

    private let signs: [Sign]
    /// Those for which fields must be looked at.
    private let rowsWithFields: LoginRows
    /// Those for which the body must be.
    let rowsWithMembers: LoginRows

    init(_ login: Configuration.Login) {
        let plain = Sign(row: .plain, statuses: login.failureStatuses, field: nil, member: nil)
        signs =
            [plain]
            + login.rules.enumerated().map { index, rule in
                Sign(
                    row: .row(index), statuses: rule.failureStatuses,
                    field: rule.failureField.map { ($0.name.utf8.map(Characters.lowercased), Array($0.value.utf8)) },
                    member: rule.failureMember.map { AnswerMember($0.path, values: $0.values) })
            }
        rowsWithFields = signs.reduce(into: []) { if $1.field != nil { $0.formUnion($1.row) } }
        rowsWithMembers = signs.reduce(into: []) { if $1.member != nil { $0.formUnion($1.row) } }
    }

    /// By what the body says, so far as it is here.
    /// - Parameter rows: that neither status nor fields have decided.
    func rows(of rows: LoginRows, _ body: AnswerBody) -> AnswerVerdict {
        var failed = LoginRows()
        for sign in signs where rows.contains(sign.row) {
            guard let member = sign.member else { continue }
            switch member.verdict(on: body) {
            case .undecided: return .undecided
            case .failed: failed.formUnion(sign.row)
            case .passed: break
            }
        }
        return .decided(failed)
    }

    func rows(
        of rows: LoginRows, status: Int, hasBody: Bool, _ fields: borrowing FieldTable, _ bytes: Span<UInt8>
    ) -> LoginRows {
        var failed = self.rows(of: rows, status: status)
        if !hasBody, AnswerMember.isFailure(bodiless: status) { failed.formUnion(rows.intersection(rowsWithMembers)) }
        guard !rows.isDisjoint(with: rowsWithFields) else { return failed }
        for sign in signs where rows.contains(sign.row) {
            guard let field = sign.field else { continue }
            for index in 0..<fields.count
            where bytes.extracting(fields[index].value).equals(field.value.span)
                && field.name.span.equalsIgnoringCase(bytes.extracting(fields[index].name))
            {
                failed.formUnion(sign.row)
            }
        }
        return failed
    }

    /// Of a head that cannot be read: whatever could have stood in it, did.
    func rows(ofMalformed rows: LoginRows, status: Int?) -> LoginRows {
        rows.intersection(rowsWithFields.union(rowsWithMembers)).union(
            status.map { self.rows(of: rows, status: $0) } ?? [])
    }

    private func rows(of rows: LoginRows, status: Int) -> LoginRows {
        var failed: LoginRows = []
        for sign in signs where rows.contains(sign.row) && sign.statuses.contains(status) { failed.formUnion(sign.row) }
        return failed
    }
}
