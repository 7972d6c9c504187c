(component
  (core module (;0;)
    (type (;0;) (func (param i32) (result i32)))
    (export "f" (func 0))
    (func (;0;) (type 0) (param i32) (result i32)
      local.get 0
      i32.const 1
      i32.add
    )
    (@producers
      (language "Rust" "1.95")
    )
  )
  (core instance (;0;) (instantiate 0))
  (instance (;0;))
  (export (;1;) "syncmgr:plugin/synchronize@0.1.0" (instance 0))
)
