(component
  (instance (;0;))
  (export (;1;) "syncmgr:plugin/synchronize@0.2.0" (instance 0))
)
