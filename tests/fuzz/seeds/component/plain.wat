(component
  (instance (;0;))
  (export (;1;) "syncmgr:plugin/synchronize@0.1.0" (instance 0))
)
