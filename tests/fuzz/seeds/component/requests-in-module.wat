(component
  (core module (;0;)
    (@custom "syncmgr-requests" (before first) "[settings]\0amode = \22x\22\0a[directories]\0a\22*.left\22 = { access = \22read-write\22, why = \22y\22 }\0a[allow]\0awall-clock = \22\22\0a[http]\0a\22a.b\22 = \22\22\0a")
  )
  (instance (;0;))
  (export (;1;) "syncmgr:plugin/synchronize@0.1.0" (instance 0))
)
