(component
  (type (;0;)
    (instance)
  )
  (import "wasi:io/poll@0.2.6" (instance (;0;) (type 0)))
  (import "syncmgr:plugin/types@0.1.0" (instance (;1;) (type 0)))
  (instance (;2;))
  (export (;3;) "syncmgr:plugin/synchronize@0.1.0" (instance 2))
)
