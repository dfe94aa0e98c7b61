package relay

import (
	"hash/maphash"
	"sync"
)

// keyedMutex is a mutex for each key, by 64 shards: two keys may share one.
type keyedMutex struct {
	once   sync.Once
	seed   maphash.Seed
	shards [64]sync.Mutex
}

func (k *keyedMutex) lock(key string) (unlock func()) {
	k.once.Do(func() { k.seed = maphash.MakeSeed() })
	m := &k.shards[maphash.String(k.seed, key)%uint64(len(k.shards))]
	m.Lock()
	return m.Unlock
}
