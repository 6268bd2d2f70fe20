// Package crashpoint names the places where a worker may die, so that a test
// can make it die exactly there. In a normal build a point is an empty function
// that the compiler takes out; built with the tag "chaos" the program reads
// CALLBUS_CRASHPOINTS and kills or stops itself with a real signal, which no
// deferred function and no handler sees.
package crashpoint

// Point is one place between two steps that leave a trace.
type Point string

// The points, in the order in which a command reaches them.
const (
	Fetched  Point = "fetched"  // delivered, nothing read yet
	Recalled Point = "recalled" // the journal has been read
	Admitted Point = "admitted" // may be sent, nothing recorded of that
	Opened   Point = "opened"   // noted in the registry as under way
	Started  Point = "started"  // "started" is stored, nothing sent
	Answered Point = "answered" // Graph has answered, nothing recorded of that
	Recorded Point = "recorded" // the answer is stored
	Bound    Point = "bound"    // registry and timers follow, still in the queue
	Acked    Point = "acked"    // out of the queue
	Buried   Point = "buried"   // the dead letter is stored, no record yet
	Retired  Point = "retired"  // a hang-up has ended an older command, which is still in the queue
	Wanted   Point = "wanted"   // a hang-up is noted in the registry
	Folded   Point = "folded"   // an event is in the registry, nothing follows yet
	Settled  Point = "settled"  // what an event decides is stored, the event is not acknowledged
)

// Points lists every point.
var Points = []Point{Fetched, Recalled, Admitted, Opened, Started, Answered, Recorded, Bound, Acked, Buried, Retired, Wanted, Folded, Settled}
