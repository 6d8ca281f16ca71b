/// What must happen in Redis without anything in between. Each touches the keys of one slot, so that Redis Cluster runs
/// them too. They write effects of the server's own clock, so hosts with wrong clocks agree. The first thing that `count` and
/// `reserve` write is one that Redis refuses when it has no memory left: once a script has written, it refuses nothing more.
enum Script: CaseIterable {
    /// Counts a failure once.
    ///
    /// KEYS: the counter, the failures seen, the guesses on their way. ARGV: window left for this failure (ms), id, how many ids to keep,
    /// window (ms), the limit if the window slides.
    /// Returns: count, the counter's PTTL, the server's time (ms), 1 when the failure had been counted before.
    ///
    /// In a sliding window the failures seen are what is counted, as long as there is a counter: whoever deletes that has
    /// forgotten them. It ends when the last failure does not count any more; beyond the limit it keeps its end, which is that of a block.
    ///
    /// The guess gives its place back in the same step. The mark of a block (`mark`) goes, because that block is not this
    /// failure's.
    ///
    /// A failure is told again when its answer was lost, so its id is kept as long as it may be told again: for one
    /// window. The set is bounded; when more failures of one address than that are told in between, a repetition counts
    /// twice, which errs on the safe side.
    case count
    /// Sets a block unless there is one.
    ///
    /// KEYS: the block, and if blocks of some rule grow how many there were lately. ARGV: value, end (ms of the server's clock), and then the
    /// length of the first (ms), factor (1 for a rule whose blocks do not grow), longest (ms), how long they are remembered (ms).
    /// Returns: 1 when it was set, the block's PTTL, its value (empty when it is no string), its end if it was set, how many
    /// there were before.
    case block
    /// Takes a place for a guess, once for each id.
    ///
    /// KEYS: the counter, the guesses on their way, the failures seen. ARGV: id, limit, how long the place is kept (ms), the window (ms; empty
    /// unless it slides), `challenge` if the limit is one from which on a challenge must be solved: there nobody goes.
    /// Returns: what to do, count, the counter's PTTL, the server's time (ms). To do: 0 wait, 1 go, 2 the count is at the
    /// limit and its block was lost: set it, 3 go if there is no block.
    ///
    /// Whether a block was lost or lifted by hand is told by the mark: it is set behind each block that a failure asked
    /// for and taken away by each failure. So a count at the limit without it has a block to come, from a replica that is
    /// about to set it or has died; with it and without a block somebody has lifted that, and one guess at a time may go.
    case reserve
    /// Remembers that the block is in force, and gives the counter its end.
    ///
    /// KEYS: the counter, the failures seen. ARGV: end of the counter (ms of the server's clock; 0: as it is), end of the
    /// block.
    case mark
    /// Sets or removes what an operator said, unless something was said of the name later.
    ///
    /// KEYS: the name's key, its mark. ARGV: how it is told (`Telling`), when it was said, `set` or `drop`, the value, how long
    /// it lives (ms; empty: it does not end), how long the mark does (ms; empty: none is set).
    /// Returns: 1, or 0 when something later is there.
    case say
    /// Gives data that is older than what was known another mark, so that no replica takes it for what it knew.
    ///
    /// KEYS: the mark of the data (`RedisEpochs`). ARGV: the mark as it was read, the new one.
    /// Returns: the mark that is there, which another replica may have set before.
    case renew
    /// Takes from a bucket that replicas share: moves the moment on at which it will be full again, as `TokenBucket` does. It is
    /// taken without a question, since the requests have passed.
    ///
    /// KEYS: the bucket. ARGV: what is taken (µs), how long ago that began (µs), how far away from full the bucket may be (µs).
    /// Returns: how far away from full it is (µs).
    ///
    /// A full bucket is as good as none, so a key lives until it is one. What is no number counts as none. A value that is
    /// too far away is brought back, so that a clock that went back, or a limit that was slower, holds nobody up for ever.
    case take

    var text: String {
        switch self {
        case .count:
            """
            local t = redis.call('TIME')
            local now = t[1] * 1000 + math.floor(t[2] / 1000)
            if redis.call('ZSCORE', KEYS[2], ARGV[2]) then
              redis.call('ZREM', KEYS[3], ARGV[2])
              return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('PTTL', KEYS[1]), now, 1}
            end
            local count = redis.call('INCR', KEYS[1])
            local left = redis.call('PTTL', KEYS[1])
            if left < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
            redis.call('ZREM', KEYS[3], ARGV[2])
            redis.call('ZREM', KEYS[2], 'blocked')
            if ARGV[5] and count == 1 then redis.call('DEL', KEYS[2]) end
            redis.call('ZADD', KEYS[2], ARGV[5] and now - ARGV[4] + ARGV[1] or now, ARGV[2])
            redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[3]))
            redis.call('PEXPIRE', KEYS[2], ARGV[4])
            if ARGV[5] then
              redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
              count = redis.call('ZCARD', KEYS[2])
              if count <= tonumber(ARGV[5]) or left < 1 then left = ARGV[4] end
              redis.call('SET', KEYS[1], count, 'PX', left)
            end
            return {count, redis.call('PTTL', KEYS[1]), now, 0}
            """
        case .block:
            """
            local t = redis.call('TIME')
            local last, before = tonumber(ARGV[2]), 0
            if KEYS[2] then
              local known = redis.pcall('GET', KEYS[2])
              before = math.min(1e6, math.max(0, math.floor(type(known) == 'string' and tonumber(known) or 0)))
              local first = tonumber(ARGV[3])
              local length = math.min(first * tonumber(ARGV[4]) ^ before, tonumber(ARGV[5]))
              last = last - first + math.max(first, math.floor(length))
            end
            local left = last - t[1] * 1000 - math.floor(t[2] / 1000)
            local set = left > 0 and redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', left)
            if set and KEYS[2] then redis.call('SET', KEYS[2], before + 1, 'PX', left + ARGV[6]) end
            local value = redis.pcall('GETRANGE', KEYS[1], 0, 1023)
            if type(value) ~= 'string' then value = '' end
            return {set and 1 or 0, redis.call('PTTL', KEYS[1]), value, last, before}
            """
        case .reserve:
            """
            local t = redis.call('TIME')
            local now = t[1] * 1000 + math.floor(t[2] / 1000)
            local count = tonumber(redis.call('GET', KEYS[1]) or 0) or 0
            if ARGV[4] ~= '' and count > 0 then
              count = redis.call('ZCOUNT', KEYS[3], '(' .. now - ARGV[4], now)
              local over = redis.call('ZSCORE', KEYS[3], 'blocked')
              if over and tonumber(over) <= now and tonumber(over) > now - ARGV[4] then count = count - 1 end
            end
            local limit = tonumber(ARGV[2])
            local left = redis.call('PTTL', KEYS[1])
            local go = 1
            local own = redis.call('ZSCORE', KEYS[2], ARGV[1])
            if not own or tonumber(own) <= now then
              local held = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
              if count >= limit then
                local mark = redis.call('ZSCORE', KEYS[3], 'blocked')
                if not mark or tonumber(mark) <= now then return {2, count, left, now} end
                if held > 0 or ARGV[5] then return {0, count, left, now} end
                go = 3
              elseif count + held >= limit then
                return {0, count, left, now}
              end
              redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[1])
              redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
              if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
            end
            return {go, count, left, now}
            """
        case .mark:
            """
            if ARGV[1] ~= '0' then redis.call('PEXPIREAT', KEYS[1], ARGV[1]) end
            local t = redis.call('TIME')
            local left = tonumber(ARGV[2]) - t[1] * 1000 - math.floor(t[2] / 1000)
            if left <= 0 then return 0 end
            redis.call('ZADD', KEYS[2], ARGV[2], 'blocked')
            if redis.call('PTTL', KEYS[2]) < left then redis.call('PEXPIREAT', KEYS[2], ARGV[2]) end
            return 1
            """
        // Times are texts of one form, so that the later one is the greater. What has no signature is by hand. The mark comes
        // last and may fail: out of memory, what is to be removed is removed all the same.
        case .say:
            """
            local how, at = ARGV[1], ARGV[2]
            if how ~= 'now' then
              local mark = redis.call('GET', KEYS[2])
              if mark and mark > at then return 0 end
              local here = redis.pcall('GET', KEYS[1])
              if here and how == 'restored' then return 0 end
              if here then
                local read, value = pcall(cjson.decode, type(here) == 'string' and here or '')
                local said = read and type(value) == 'table' and value.by and value.at
                if type(said) == 'string' and string.len(said) >= 20 then
                  if string.len(said) == 20 then said = string.sub(said, 1, 19) .. '.000Z' end
                  if said > at then return 0 end
                elseif how == 'carried' then
                  return 0
                end
              end
            end
            if ARGV[3] == 'drop' then
              redis.call('DEL', KEYS[1])
            elseif ARGV[5] == '' then
              redis.call('SET', KEYS[1], ARGV[4])
            else
              redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
            end
            if ARGV[6] ~= '' then redis.pcall('SET', KEYS[2], at, 'PX', ARGV[6]) end
            return 1
            """
        case .renew:
            """
            local here = redis.call('GET', KEYS[1])
            if here ~= ARGV[1] then return here end
            redis.call('SET', KEYS[1], ARGV[2])
            return ARGV[2]
            """
        // Lua writes large numbers as 1.8e+15 of its own accord. `nan` is what is not itself.
        case .take:
            """
            local t = redis.call('TIME')
            local now = t[1] * 1000000 + t[2]
            local full = redis.pcall('GET', KEYS[1])
            full = type(full) == 'string' and tonumber(full) or 0
            if full ~= full then full = 0 end
            full = math.min(math.max(full, now - ARGV[2]) + ARGV[1], now + ARGV[3])
            local debt = full - now
            if debt <= 0 then return 0 end
            local left = string.format('%.0f', math.ceil(debt / 1000))
            redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', left)
            return debt
            """
        }
    }
}
