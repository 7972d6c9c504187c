(component
  (type (;0;)
    (instance)
  )
  (import "wasi:http/types@0.2.0" (instance (;0;) (type 0)))
  (instance (;1;))
  (export (;2;) "syncmgr:plugin/synchronize@0.1.0" (instance 1))
)
