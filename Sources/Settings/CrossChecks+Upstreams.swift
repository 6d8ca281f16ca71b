private import Wire

extension CrossChecks {
    mutating func checkBalance(ofUpstream name: String) {
        let path = "upstreams.\(name)"
        guard let balance = settings.text("\(path).balance"), let source = settings.text("\(path).hash_on")
        else { return }
        let isNamed = settings.written("\(path).hash_name") != nil
        if balance == Configuration.Upstream.Balance.consistentHash.rawValue {
            let needsName = source == "header" || source == "cookie"
            if needsName, !isNamed, settings.entries["\(path).hash_name"]?.isBroken != true {
                findings.error(
                    settings.place(of: "\(path).hash_on"), "the \(source) to go by has no name",
                    hint: "set \"\(path).hash_name\"")
            }
        } else if settings.written("\(path).hash_on") != nil || isNamed {
            findings.warning(
                settings.place(of: isNamed ? "\(path).hash_name" : "\(path).hash_on"),
                "the servers of \"\(name)\" are not chosen by it", hint: "set balance: consistent_hash")
        }
        if let time = settings.interval("\(path).ejection.time"),
            let most = settings.interval("\(path).ejection.max_time"), most < time
        {
            findings.error(
                settings.place(of: "\(path).ejection.max_time"), "the longest time is shorter than the first one",
                hint: "set \"\(path).ejection.time\" to less")
        }
    }
}
