-------------------------------- MODULE Sync --------------------------------
(* One location's orders on their way from the provider to a consumer of       *)
(* suppli.sales.raw.v1. Names are those of suppli_connector_kit: engine        *)
(* (walk.py, pages.py), adapters (queue.py, hold.py, books.py), domain         *)
(* (coverage.py, decisions.py, versions.py).                                   *)
(*                                                                             *)
(* The holder of the lease walks the provider's pages (here: one order each),  *)
(* publishes each, and only then records it: hashes and coverage, in one       *)
(* transaction that the fence guards. It may stop before any step, for ever    *)
(* (a crash) or until its lease is somebody else's (a zombie that wakes up):   *)
(* no step is ever obliged to happen.                                          *)
EXTENDS Naturals, TLC

CONSTANTS
  Holders, Orders,
  Imported,             \* the orders that were read and recorded before the story begins
  MaxClock, MaxEdits, MaxClaims,    \* how much happens
  Slips,                \* TRUE: an order may change and keep its stamp
  ContentReturns,       \* TRUE: an order may go back to what it was before (A, B, A)
  UnfinishedSaysAgain,  \* FALSE breaks it: an equal hash is believed even where the holder before did not finish
  FenceChecked,         \* FALSE breaks the protocol: records whoever holds the lease now
  PublishBeforeRecord,  \* FALSE breaks it: a page may be recorded before it is acknowledged
  LeaseChecked,         \* FALSE breaks it: publishes without a look at the lease
  FollowingSeen         \* FALSE breaks it: a page covers up to its last stamp, whatever the next page begins with

None == [none |-> TRUE]

VARIABLES
  clock,      \* the provider's
  order,      \* the provider's orders: [at: last-modified stamp, edit: which edit it shows, since: the first with this stamp]
  edits,
  lease,      \* the database's: [fence, expired, finished]; one that is renewed in time does not expire
  coverage,   \* the database's: the instants of modification that are imported
  hashes,     \* the database's: of each order what was recorded last, [hash, source_version]
  held,       \* the consumer's: of each order the message that it took, [source_version, observed, edit]
  holder      \* what each process is doing

vars == <<clock, order, edits, lease, coverage, hashes, held, holder>>
database == <<lease, coverage, hashes>>
world == <<clock, order, edits>>

Symmetry == Permutations(Holders) \cup Permutations(Orders)    \* which is which makes no difference

Hash(edit) == IF ContentReturns THEN edit % 2 ELSE edit
Observed(fence, page) == fence * 16 + page     \* in the code: fence << 24 | page
Missing(o) == order[o].edit = 0

Idle == [idle |-> TRUE]

Init ==
  /\ clock = 1 /\ edits = 0
  /\ order = [o \in Orders |-> LET first == IF o \in Imported THEN 1 ELSE 0
                              IN [at |-> 0, edit |-> first, since |-> first]]
  /\ lease = [fence |-> 0, expired |-> TRUE, finished |-> TRUE]
  /\ coverage = {0}
  /\ hashes = [o \in Orders |-> [hash |-> IF o \in Imported THEN Hash(1) ELSE 99, source_version |-> 0]]
  /\ held = [o \in Orders |-> [source_version |-> 0, observed |-> 0, edit |-> order[o].edit]]
  /\ holder = [h \in Holders |-> Idle]

\* ---------------------------------------------------------------- the provider

\* An order is made or changed; several changes may carry one stamp.
Edit(o) ==
  /\ edits < MaxEdits /\ edits' = edits + 1
  /\ order' = [order EXCEPT ![o] = [at |-> clock, edit |-> @.edit + 1,
                                    since |-> IF @.at = clock THEN @.since ELSE @.edit + 1]]
  /\ UNCHANGED <<clock, database, held, holder>>

\* A change that moves no stamp.
Slip(o) ==
  /\ Slips /\ edits < MaxEdits /\ edits' = edits + 1 /\ ~Missing(o)
  /\ order' = [order EXCEPT ![o].edit = @ + 1]
  /\ UNCHANGED <<clock, database, held, holder>>

Tick == clock < MaxClock /\ clock' = clock + 1
        /\ UNCHANGED <<order, edits, database, held, holder>>

\* ---------------------------------------------------------------- the lease

Expire == ~lease.expired /\ lease' = [lease EXCEPT !.expired = TRUE]
          /\ UNCHANGED <<world, coverage, hashes, held, holder>>

Holds(h) == lease.fence = holder[h].fence /\ ~lease.expired

Goto(h, state) == holder' = [holder EXCEPT ![h] = state]
Stop(h) == Goto(h, Idle)

\* ---------------------------------------------------------------- a walk

Least(S) == CHOOSE x \in S : \A y \in S : x <= y
Edge(covered) == Least(0 .. MaxClock + 1 \ covered)

\* Takes the lease, its fence one higher; asks for everything modified since coverage's edge, oldest first.
\* The provider's cursor keeps each order's place of now.
Claim(h) ==
  LET start == Edge(coverage) IN
  /\ holder[h] = Idle /\ lease.expired /\ lease.fence < MaxClaims
  /\ lease' = [fence |-> lease.fence + 1, expired |-> FALSE, finished |-> FALSE]
  /\ Goto(h, [fence |-> lease.fence + 1, inherits |-> ~lease.finished, covered |-> coverage, start |-> start,
              limit |-> clock,                        \* coverage goes no further than the provider's clock
              place |-> [o \in {o \in Orders : ~Missing(o) /\ order[o].at >= start} |-> order[o].at],
              pages |-> 0, page |-> None, previous |-> None])
  /\ UNCHANGED <<world, coverage, hashes, held>>

\* A page that is acknowledged makes way for the next one as soon as the page before it is recorded.
Acknowledged(page) == page.state # "sending" \/ ~PublishBeforeRecord
Turned(me) ==
  IF me.page # None /\ Acknowledged(me.page) /\ me.previous = None
  THEN [me EXCEPT !.previous = me.page, !.page = None] ELSE me

\* `Rules.decide`: an unchanged order emits nothing. But what a holder that did not finish has published, or still
\* will, is in no hash: after it only the very version that is recorded counts as unchanged.
Unchanged(me, page) ==
  LET known == hashes[page.order] IN
  \/ page.at < known.source_version
  \/ /\ Hash(page.edit) = known.hash
     /\ UnfinishedSaysAgain /\ me.inherits => page.at = known.source_version

Without(f, o) == [x \in DOMAIN f \ {o} |-> f[x]]

\* Fetches the next page (the order as it now is: one that changed since shows ahead of its place, or not at
\* all), compares it, looks whether the lease lasts. From here to Kafka nothing holds a process back any more.
Fetch(h) ==
  LET me == holder[h] IN
  /\ me # Idle /\ me.page = None
  /\ \E o \in DOMAIN me.place :
       LET rest == [me EXCEPT !.place = Without(me.place, o)]
           seen == [order |-> o, at |-> order[o].at, edit |-> order[o].edit, state |-> "sending"]
       IN /\ \A p \in DOMAIN me.place : me.place[o] <= me.place[p]
          /\ \/ IF Unchanged(me, seen) THEN Goto(h, Turned([rest EXCEPT !.page = [seen EXCEPT !.state = "unchanged"]]))
                ELSE IF LeaseChecked /\ ~Holds(h) THEN Stop(h)
                ELSE Goto(h, Turned([rest EXCEPT !.page = seen, !.pages = me.pages + 1]))
             \/ order[o].at > me.place[o] /\ Goto(h, rest)
  /\ UNCHANGED <<world, database, held>>

\* Versions compare as (source_version, observed), the greater wins. Kafka may repeat and reorder:
\* what counts is the greatest, so that alone is kept of the topic.
Publish(h) ==
  LET me == holder[h]
      said == [source_version |-> me.page.at, observed |-> Observed(me.fence, me.pages), edit |-> me.page.edit]
      has == held[me.page.order]
      wins == \/ said.source_version > has.source_version
              \/ said.source_version = has.source_version /\ said.observed > has.observed
  IN /\ me # Idle /\ me.page # None /\ me.page.state = "sending"
     /\ held' = IF wins THEN [held EXCEPT ![me.page.order] = said] ELSE held
     /\ Goto(h, Turned([me EXCEPT !.page.state = "published"]))
     /\ UNCHANGED <<world, database>>

Min(a, b) == IF a < b THEN a ELSE b

\* `page_edge`: what lies before the page's last stamp, and not beyond the first one of the page after it.
PageEdge(me) ==
  Min(me.limit, IF FollowingSeen THEN Min(me.previous.at, me.page.at) ELSE me.previous.at)

Entry(page) ==
  IF page.state = "unchanged" \/ page.at < hashes[page.order].source_version THEN hashes
  ELSE [hashes EXCEPT ![page.order] = [hash |-> Hash(page.edit), source_version |-> page.at]]

\* `Books.record`: hashes and coverage in one transaction, if the fence still is the holder's own.
\* A page is recorded once the next one is known, while that one is published. The last one proves the whole
\* window, as far as the provider's clock reached, and ends the run, which lets the lease go.
Record(h) ==
  LET me == holder[h]
      last == me.page = None /\ DOMAIN me.place = {}
      edge == IF last THEN me.limit ELSE PageEdge(me)
      moved == me.covered \cup (me.start .. edge - 1)
  IN /\ me # Idle /\ (last \/ (me.page # None /\ me.previous # None))
     /\ IF FenceChecked => Holds(h)
        THEN /\ coverage' = moved
             /\ hashes' = IF me.previous = None THEN hashes ELSE Entry(me.previous)
             /\ IF last THEN Stop(h) /\ lease' = (IF Holds(h) THEN [lease EXCEPT !.expired = TRUE, !.finished = TRUE] ELSE lease)
                ELSE Goto(h, Turned([me EXCEPT !.covered = moved, !.previous = None])) /\ UNCHANGED lease
        ELSE Stop(h) /\ UNCHANGED database
     /\ UNCHANGED <<world, held>>

Next ==
  \/ \E h \in Holders : Claim(h) \/ Fetch(h) \/ Publish(h) \/ Record(h)
  \/ \E o \in Orders : Edit(o) \/ Slip(o)
  \/ Tick \/ Expire

Spec == Init /\ [][Next]_vars

\* ---------------------------------------------------------------- what must hold

\* What is inside coverage the consumer holds, as it has been since its stamp last moved.
\* (A change that moved no stamp is found by the overlap and the sweep, which read covered time again.)
CoveredIsHeld ==
  \A o \in Orders : ~Missing(o) /\ order[o].at \in coverage
    => \E e \in order[o].since .. order[o].edit : Hash(held[o].edit) = Hash(e)

\* Coverage never goes back, whoever wakes up.
CoverageGrows == [][coverage \subseteq coverage']_vars

\* Nobody puts an older sight of an order in place of a newer one.
NeverBack == [][\A o \in Orders : held'[o].edit >= held[o].edit]_vars
=============================================================================
