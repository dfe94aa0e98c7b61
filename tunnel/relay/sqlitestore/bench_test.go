package sqlitestore_test

import (
	"testing"

	"github.com/rayhound/rayhound/tunnel/relay/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Bench(b, suite()) }
