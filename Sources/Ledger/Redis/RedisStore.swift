/// What the ledger asks: one server, or the masters of a cluster as if they were one (`RedisCluster`).
///
/// Every command has its one key second, and every script keys of one slot. Answers to commands come in the order of the calls,
/// and that to `PING` when nothing of before is outstanding; those to scripts may come later.
protocol RedisStore: AnyObject {
    /// The names of the scripts that were loaded.
    var hashes: [Script: String] { get }

    /// Keys of marks by which lost data is noticed: one for each server that can lose its own.
    var epochKeys: [String] { get }
    /// Of a key: that of the server which has it at this moment. Where keys move, they have moved later.
    var epochOwners: (String) -> String { get }
    /// Whether keys may go from a server that is still to be scanned to one that was.
    var movesKeys: Bool { get }

    /// - Parameter completion: With nil when the session ended first.
    func call(_ arguments: [String], completion: @escaping RedisConnection.Completion)

    /// Ends it without a word; calls that wait are answered with nil.
    func close()
}

extension RedisStore {
    func call(_ arguments: [String]) { call(arguments) { _ in } }

    /// Runs a script by its hash, and with its text when Redis has forgotten it (SCRIPT FLUSH, a restart behind a proxy).
    func run(
        _ script: Script, keys: [String], _ arguments: [String], completion: @escaping RedisConnection.Completion
    ) {
        let rest = [String(keys.count)] + keys + arguments
        call(["EVALSHA", hashes[script] ?? ""] + rest) { [weak self] reply in
            if let self, reply?.error?.hasPrefix("NOSCRIPT") == true {
                call(["EVAL", script.text] + rest, completion: completion)
            } else {
                completion(reply)
            }
        }
    }
}
